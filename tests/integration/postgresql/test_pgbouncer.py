"""PgBouncer in transaction mode between a node and its server; the tests of index and ingest run through it as well."""

import contextlib
import json
import subprocess
import sys
import threading

import psycopg
import pytest

from cluster.coordinator.gate import Gate
from cluster.database.connection import connect
from cluster.errors import DatabaseRefused
from tests.faults.test_database_outage import associate, readiness
from tests.support.nodes import NodeProcess
from tests.support.pgbouncer import PgBouncer, everything_through
from tests.support.settings import settings_for


def database_of(uri):
    return psycopg.conninfo.conninfo_to_dict(uri)["dbname"]


@pytest.fixture
def pooled_uri(pgbouncer, database_uri):
    return pgbouncer.uri(database_of(database_uri))


def pooled(uri, direct=None, **postgresql):
    """Settings of a node that reaches its server at `uri`."""
    return settings_for(uri, postgresql=postgresql, cluster={"DirectConnectionUri": direct} if direct else {})


def test_without_a_direct_connection_a_node_ends_and_says_what_to_do(tmp_path, pooled_uri):
    file = tmp_path / "orthanc.json"
    section = {"EnableIndex": True, "ConnectionUri": pooled_uri}
    options = {"DicomServerEnabled": False, "HttpServerEnabled": False}
    file.write_text(json.dumps({"StorageDirectory": str(tmp_path), "PostgreSQL": section, **options}), "utf-8")
    argv = [sys.executable, "-m", "workers", "ingest", "--config", file]
    ended = subprocess.run(argv, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 3
    assert ended.stderr.splitlines()[-1].startswith("orthanc-cluster: Cluster.DirectConnectionUri: needed")
    assert psycopg.conninfo.conninfo_to_dict(pooled_uri)["password"] not in ended.stderr


def test_a_direct_connection_that_is_none_is_refused_as_well(pooled_uri):
    with pytest.raises(DatabaseRefused, match=r"^Cluster\.DirectConnectionUri: "):
        connect(pooled(pooled_uri, direct=pooled_uri).postgresql)


def test_it_is_found_out_among_other_clients(pgbouncer, pooled_uri):
    ended = threading.Event()

    def keep_busy():
        with psycopg.connect(pooled_uri, autocommit=True, prepare_threshold=None) as connection:
            while not ended.is_set():
                connection.execute("SELECT pg_sleep(0.001)")

    clients = [threading.Thread(target=keep_busy) for _ in range(4)]
    for client in clients:
        client.start()
    try:
        for _ in range(5):
            with pytest.raises(DatabaseRefused):
                connect(pooled(pooled_uri).postgresql)
    finally:
        ended.set()
        for client in clients:
            client.join()


def test_in_session_mode_no_direct_connection_is_needed(postgresql, database_uri):
    with PgBouncer(postgresql, pool_mode="session") as bouncer:
        settings = pooled(bouncer.uri(database_of(database_uri)), Lock=True)
        with contextlib.closing(Gate(settings)) as gate:
            assert gate.wait_until_ready()


def test_the_lock_is_held_on_the_direct_connection(pooled_uri, database_uri):
    def gate():
        return contextlib.closing(Gate(pooled(pooled_uri, direct=database_uri, Lock=True)))

    with gate() as first, gate() as second:
        assert first.wait_until_ready()
        with pytest.raises(DatabaseRefused, match=r"PostgreSQL\.Lock: "):
            second.wait_until_ready()


@pytest.mark.parametrize("mode", ["ReadCommitted", "Serializable"])
def test_what_another_client_has_set_does_not_matter(postgresql, database_uri, open_database, mode):
    # Given one server connection for all, on which somebody has left other defaults than ours
    with PgBouncer(postgresql, pool_size=1) as bouncer:
        uri = bouncer.uri(database_of(database_uri))
        database = open_database(uri, TransactionMode=mode)
        with psycopg.connect(uri, autocommit=True, prepare_threshold=None) as other:
            for name, value in (
                ("default_transaction_isolation", "'repeatable read'"),
                ("default_transaction_read_only", "on"),
                ("search_path", "nowhere"),
            ):
                other.execute(f"SET {name} = {value}")
        # Then a unit of work has what it needs, and leaves nothing behind
        look = "SELECT current_setting('transaction_isolation'), current_setting('transaction_read_only')"
        level = {"ReadCommitted": "read committed", "Serializable": "serializable"}[mode]
        assert database.call("look", look, {}) == [(level, "off")]
        assert database.run("look", lambda c: c.execute(look).fetchone()) == (level, "off")
        assert database.run("count", lambda c: c.execute("SELECT count(*) FROM Resources").fetchone()) == (0,)
        left = "SELECT current_setting('search_path'), current_setting('lock_timeout')"
        connection = database._pool.take(5)
        try:
            assert connection.execute(left).fetchone() == ("nowhere", "0")
            assert connection.execute("SELECT count(*) FROM pg_prepared_statements").fetchone() == (0,)
        finally:
            database._pool.give_back(connection)


def test_a_whole_node_works_through_it(pgbouncer, postgresql, tmp_path, database_uri, storage_directory):
    with everything_through(pgbouncer, postgresql):
        node = NodeProcess("node", tmp_path, database_uri, storage_directory)
    with node:
        assert f":{pgbouncer.port}/" in node.settings.postgresql.conninfo()
        associate(node).release()
        assert readiness(node).status_code == 200
    assert node.process.returncode == 0
    assert "WARNING" not in node.log.read_text()
