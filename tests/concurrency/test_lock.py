"""`Lock: true` is for one; a second one is told which option to change (interop/schema.md 10)."""

import contextlib

import psycopg
import pytest

from cluster.coordinator.gate import Gate
from cluster.errors import DatabaseRefused
from tests.support.settings import settings_for
from workers.local.children import wait_until


def gate(uri, lock):
    return contextlib.closing(Gate(settings_for(uri, postgresql={"Lock": lock, "ConnectionRetryInterval": 1})))


def holders(uri):
    """As Orthanc's lock shows: the form with one bigint, key 42."""
    with psycopg.connect(uri) as connection:
        query = "SELECT objid FROM pg_locks WHERE locktype = 'advisory' AND classid = 0 AND objsubid = 1 AND granted"
        return [key for (key,) in connection.execute(query)]


def test_second_node_is_refused_until_the_first_has_gone(database_uri):
    with gate(database_uri, lock=True) as first:
        assert first.wait_until_ready()
        assert holders(database_uri) == [42]
        with gate(database_uri, lock=True) as second, pytest.raises(DatabaseRefused, match=r"PostgreSQL\.Lock: "):
            second.wait_until_ready()
        assert not second.is_ready
        # Draining keeps the lock: what is in hand is still written.
        first.stop()
        assert holders(database_uri) == [42]
    assert wait_until(lambda: holders(database_uri) == [], 10)
    with gate(database_uri, lock=True) as third:
        assert third.wait_until_ready()


def test_a_real_orthanc_that_holds_the_lock_is_respected(database_uri):
    with psycopg.connect(database_uri) as orthanc:
        orthanc.execute("SELECT pg_try_advisory_lock(42)")
        with gate(database_uri, lock=True) as ours, pytest.raises(DatabaseRefused):
            ours.wait_until_ready()
        # A node with Lock: false does not look.
        with gate(database_uri, lock=False) as ours:
            assert ours.wait_until_ready()


def test_nodes_without_the_option_take_no_lock(database_uri):
    with gate(database_uri, lock=False) as first, gate(database_uri, lock=False) as second:
        assert first.wait_until_ready()
        assert second.wait_until_ready()
        assert holders(database_uri) == []
