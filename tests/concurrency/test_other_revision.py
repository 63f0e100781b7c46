"""A writer whose revision is no longer served stores nothing, also if the switch overtakes its call."""

import threading

import psycopg
import pytest

from cluster.database import Database
from cluster.errors import SchemaMismatch
from cluster.index.store_instances import store_instances
from tests.integration.index.test_store_instances import rows_of
from tests.support.settings import settings_for
from workers.local.children import wait_until

SWITCH = "UPDATE GlobalProperties SET value = '11' WHERE property = 4"


@pytest.fixture(params=["ReadCommitted", "Serializable"])
def database(request, database_uri):
    database = Database(settings_for(database_uri, postgresql={"TransactionMode": request.param}).postgresql)
    database.open()
    yield database
    database.close()


def resources(connection):
    return connection.execute("SELECT count(*) FROM Resources").fetchone()[0]


def test_after_the_switch(database, database_uri):
    with psycopg.connect(database_uri, autocommit=True) as connection:
        connection.execute(SWITCH)
        with pytest.raises(SchemaMismatch, match="not at revision 10 any more"):
            store_instances(database, "Never", [rows_of()])
        assert resources(connection) == 0


def test_during_the_switch(database, database_uri):
    raised = []

    def write():
        with pytest.raises(SchemaMismatch) as info:
            store_instances(database, "Never", [rows_of()])
        raised.append(info.value)

    with psycopg.connect(database_uri) as other, psycopg.connect(database_uri, autocommit=True) as watcher:
        # Given a switch that has its locks
        other.execute("LOCK TABLE Resources IN ACCESS EXCLUSIVE MODE")
        # When a node of the old revision writes, and waits
        writer = threading.Thread(target=write)
        writer.start()
        waits = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'Resources'::regclass"
        assert wait_until(lambda: watcher.execute(waits).fetchone() == (1,), 10)
        # Then the switch commits, and nothing is stored
        other.execute(SWITCH)
        other.commit()
        writer.join(30)
        assert len(raised) == 1
        assert resources(watcher) == 0
