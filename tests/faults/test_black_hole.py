"""Something between forgets connections and tells nobody: firewalls, balancers, NAT."""

import contextlib
import select
import time

import httpx
import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from cluster.database import Database, pool
from cluster.database.connection import connect, connection_string, require_answer
from tests.faults.test_database_outage import proxy, readiness  # noqa: F401 - the fixture
from tests.support.dicom import make_file
from tests.support.nodes import NodeProcess
from tests.support.proxy import may_go_dark
from tests.support.settings import settings_for
from workers.local.children import wait_until

drops_packets = pytest.mark.skipif(not may_go_dark(), reason="the kernel keeps packet filters for root")

INSERT = "INSERT INTO GlobalProperties (property, value) VALUES (4711, 'x')"


@pytest.fixture
def open_database(proxy):  # noqa: F811 - the fixture
    with contextlib.ExitStack() as stack:

        def open_(parameters=""):
            section = settings_for(f"{proxy.uri}{parameters}", postgresql={"IndexConnectionsCount": 2}).postgresql
            database = stack.enter_context(contextlib.closing(Database(section)))
            database.open()
            assert wait_until(lambda: proxy.connections == 2, 10)
            database.run("warm up", lambda c: c.execute("SELECT 1"))
            return database

        yield open_


def test_the_defaults_notice_within_a_third_of_the_retry_budget(database_uri):
    found = conninfo_to_dict(connection_string(settings_for(database_uri).postgresql))
    assert int(found["connect_timeout"]) <= 10
    assert int(found["tcp_user_timeout"]) <= 10_000
    probes = int(found["keepalives_interval"]) * int(found["keepalives_count"])
    assert int(found["keepalives_idle"]) + probes <= 11


def test_what_the_operator_says_wins(database_uri):
    uri = f"{database_uri}?connect_timeout=60&keepalives_idle=600"
    found = conninfo_to_dict(connection_string(settings_for(uri).postgresql))
    assert (found["connect_timeout"], found["keepalives_idle"]) == ("60", "600")


@drops_packets
def test_packets_that_are_dropped_are_only_a_delay(proxy, open_database):  # noqa: F811 - the fixture
    database = open_database("?tcp_user_timeout=1000")
    proxy.go_dark()
    started = time.monotonic()
    assert database.run("insert", lambda c: c.execute(INSERT).rowcount) == 1
    assert 0.9 < time.monotonic() - started < 10


@drops_packets
def test_an_idle_connection_that_is_dropped_is_noticed_before_it_is_needed(proxy):  # noqa: F811 - the fixture
    uri = f"{proxy.uri}?keepalives_idle=1&keepalives_interval=1&keepalives_count=1&tcp_user_timeout=1000"
    with connect(settings_for(uri).postgresql) as connection:
        proxy.go_dark()
        # The kernel finds out by itself, while nobody sends anything.
        assert wait_until(lambda: _readable(connection), 10)
        with pytest.raises(psycopg.OperationalError):
            require_answer(connection)


def _readable(connection):
    return bool(select.select([connection.fileno()], [], [], 0)[0])


def test_a_new_connection_that_is_swallowed_before_its_first_answer_is_given_up(proxy, monkeypatch):  # noqa: F811
    """One thread makes all connections of a pool: waiting for this one it would never make another."""
    monkeypatch.setattr(pool, "SET_UP_SECONDS", 0.5)
    with pool.PooledConnection.connect(proxy.uri, autocommit=True) as connection:
        proxy.swallow()
        started = time.monotonic()
        with pytest.raises(psycopg.OperationalError, match=r"did not answer for 0\.5 s"):
            pool._look_at_defaults(connection)
        assert time.monotonic() - started < 5
        assert connection.closed


def test_a_proxy_that_swallows_is_noticed_after_a_pause(proxy, open_database, monkeypatch):  # noqa: F811
    # TCP cannot help here: the proxy's kernel acknowledges everything.
    monkeypatch.setattr(pool, "_ASK_AFTER_SECONDS", 0.0)
    database = open_database()
    proxy.swallow()
    started = time.monotonic()
    assert database.run("insert", lambda c: c.execute(INSERT).rowcount) == 1
    # two connections, three seconds each
    assert time.monotonic() - started < 10


@drops_packets
def test_a_node_behind_a_black_hole_turns_not_ready_and_comes_back(tmp_path, proxy, storage_directory):  # noqa: F811
    options = {"EnableIndex": True, "ConnectionUri": proxy.uri, "ConnectionRetryInterval": 1}
    cluster = {"TransactionTimeBudgetSeconds": 9}
    with NodeProcess("node", tmp_path, proxy.uri, storage_directory, PostgreSQL=options, cluster=cluster) as node:
        proxy.go_dark(new_ones_too=True)
        assert wait_until(lambda: readiness(node).status_code == 503, 20)
        assert "did not answer" in readiness(node).text or "timeout" in readiness(node).text
        assert httpx.get(f"{node.url}/livez").status_code == 200
        proxy.see_light()
        assert wait_until(lambda: readiness(node).status_code == 200, 20)
        answer = httpx.post(f"{node.url}/instances", content=make_file(), timeout=40)
        assert answer.json()["Status"] == "Success"
