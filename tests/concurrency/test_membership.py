"""Who is in the cluster: told by each process, believed for a while, forgotten when it leaves."""

import contextlib
import threading

import psycopg
import pytest

from cluster.coordinator.gate import Gate
from cluster.coordinator.membership import live_nodes
from cluster.database import Database
from tests.support.nodes import NodeProcess
from tests.support.settings import settings_for
from workers.local.children import wait_until


@pytest.fixture
def database(database_uri):
    with contextlib.closing(Database(settings_for(database_uri).postgresql)) as database:
        database.open()
        yield database


def names(database):
    return [(node.name, list(node.roles), list(node.revisions), node.reason) for node in live_nodes(database)]


def gate(uri, name, **postgresql):
    settings = settings_for(uri, cluster={"NodeName": name}, postgresql=postgresql)
    return contextlib.closing(Gate(settings, role="ingest"))


def test_nodes_come_and_go(database_uri, database):
    with gate(database_uri, "a") as a, gate(database_uri, "b") as b:
        assert a.wait_until_ready()
        assert b.wait_until_ready()
        assert names(database) == [("a", ["ingest"], [10], None), ("b", ["ingest"], [10], None)]
    assert names(database) == []


def test_a_killed_node_is_gone_after_some_missed_heartbeats(tmp_path, database_uri, database, storage_directory):
    options = {"PostgreSQL": {"EnableIndex": True, "ConnectionUri": database_uri, "ConnectionRetryInterval": 1}}
    node = NodeProcess("node", tmp_path, database_uri, storage_directory, **options)
    with node:
        assert [name for name, *_ in names(database)] == ["node"]
        node.process.kill()
        assert [name for name, *_ in names(database)] == ["node"]
        assert wait_until(lambda: names(database) == [], 20)


def test_a_node_that_cannot_serve_stays_in_the_list_with_the_reason(database_uri, database):
    with gate(database_uri, "a", ConnectionRetryInterval=1) as a:
        assert a.wait_until_ready()
        watch = threading.Thread(target=a.keep_watch)
        watch.start()
        with psycopg.connect(database_uri, autocommit=True) as connection:
            connection.execute("UPDATE GlobalProperties SET value = '11' WHERE property = 4")
        assert wait_until(lambda: any("revision 11" in (reason or "") for *_, reason in names(database)), 20)
        a.stop()
        watch.join(10)
