"""Many nodes start on an empty database: the schema is installed exactly once, the others wait."""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, closing

import psycopg
import pytest

from cluster.coordinator.gate import Gate
from cluster.database.advisory_lock import SETUP_KEY
from cluster.errors import SchemaMismatch
from cluster.schema.install import CLUSTER_VERSION
from tests.support.settings import settings_for

NODES = 10


def start(uri: str, node: int) -> str | None:
    with closing(Gate(settings_for(uri, cluster={"NodeName": f"node-{node}"}))) as gate:
        return "ready" if gate.wait_until_ready() else gate.reason


@pytest.fixture
def start_gate():
    with ExitStack() as stack:
        yield lambda settings: stack.enter_context(closing(Gate(settings)))


def test_ten_starts_on_an_empty_database(empty_database):
    with ProcessPoolExecutor(NODES, multiprocessing.get_context("spawn")) as pool:
        outcomes = list(pool.map(start, [empty_database] * NODES, range(NODES)))
    assert outcomes == ["ready"] * NODES
    with psycopg.connect(empty_database) as connection:
        steps = connection.execute("SELECT step, count(*) FROM cluster.schema_history GROUP BY step ORDER BY step")
        assert steps.fetchall() == [(f"install cluster {CLUSTER_VERSION}", 1), ("install revision 10", 1)]
        revision = connection.execute("SELECT value FROM GlobalProperties WHERE property = 4").fetchone()
        assert revision == ("10",)


def test_a_node_waits_alive_and_not_ready_while_another_installs(empty_database, start_gate):
    from threading import Thread

    # Given somebody (a real Orthanc, say) who holds the set-up lock
    with psycopg.connect(empty_database, autocommit=True) as other:
        other.execute("SELECT pg_advisory_lock(%s::bigint)", (SETUP_KEY,))
        gate = start_gate(settings_for(empty_database))
        waiting = Thread(target=gate.wait_until_ready)
        waiting.start()
        # When a node starts, it says why it is not ready
        for _ in range(200):
            if "set-up lock" in (gate.reason or ""):
                break
            waiting.join(0.05)
        assert not gate.is_ready
        assert "another node holds the set-up lock" in gate.reason
        other.execute("SELECT pg_advisory_unlock(%s::bigint)", (SETUP_KEY,))
        # Then it goes on by itself
        waiting.join(10)
        assert gate.is_ready


@pytest.mark.parametrize("revision", ["1", "6", "11", None])
def test_another_revision_is_refused_and_left_alone(database_uri, revision, start_gate):
    with psycopg.connect(database_uri, autocommit=True) as connection:
        connection.execute("DELETE FROM GlobalProperties WHERE property = 4")
        if revision is not None:
            connection.execute("INSERT INTO GlobalProperties VALUES (4, %s)", (revision,))
        with pytest.raises(SchemaMismatch) as raised:
            start_gate(settings_for(database_uri)).wait_until_ready()
        found = f"revision {revision}" if revision else "an unknown revision"
        assert found in str(raised.value)
        assert "serves revision 10 only" in str(raised.value)
        now = connection.execute("SELECT value FROM GlobalProperties WHERE property = 4").fetchone()
        assert now == ((revision,) if revision else None)


def test_tables_of_somebody_else_are_refused(empty_database, start_gate):
    with psycopg.connect(empty_database, autocommit=True) as connection:
        connection.execute("CREATE TABLE Resources (x int)")
    with pytest.raises(SchemaMismatch, match="not an Orthanc index"):
        start_gate(settings_for(empty_database)).wait_until_ready()


def test_configured_schema_must_exist_and_is_used(empty_database, start_gate):
    settings = settings_for(empty_database, postgresql={"Schema": "Archive"})
    with pytest.raises(SchemaMismatch, match=r"PostgreSQL\.Schema: .*archive.* does not exist"):
        start_gate(settings).wait_until_ready()
    with psycopg.connect(empty_database, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA archive")
        assert start_gate(settings).wait_until_ready()
        tables = connection.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'archive'").fetchone()
        assert tables == (16,)
        assert connection.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone() == (0,)
        # One database serves one index.
        with pytest.raises(SchemaMismatch, match='already serves the index in schema "archive"'):
            start_gate(settings_for(empty_database)).wait_until_ready()


def test_unreachable_database_is_waited_for(start_gate):
    gate = start_gate(settings_for("postgresql://nobody@127.0.0.1:1/none", postgresql={"ConnectionRetryInterval": 1}))
    from threading import Timer

    stop = Timer(0.5, gate.stop)
    stop.start()
    assert gate.wait_until_ready() is False
    stop.join()
    assert not gate.is_ready
