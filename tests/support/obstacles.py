"""What an upgrade has to wait for, so that a test finds it in the middle of a step."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg
import pytest

from tests.support.upgrades import session
from workers.local.children import wait_until

SETUP_KEY = 44
"""Orthanc's, and a fact about it rather than something to read from the code under test."""

_BARRIER_KEY = 471_100


def needs_a_server_that_notices(connection: psycopg.Connection) -> None:
    """Skip the test where a backend that waits does not see that its client is gone (PostgreSQL 13)."""
    if connection.info.server_version < 140_000:
        pytest.skip("this server has no client_connection_check_interval")


@contextmanager
def older_transaction(connection: psycopg.Connection, *, writes: bool = False) -> Iterator[Callable[[], object]]:
    """A transaction that began before whatever comes next; yields a function that ends it.

    CREATE INDEX CONCURRENTLY waits for it: on Resources at its beginning if it `writes`, else once the index is built.
    The switch and the removal of an index wait for it too.
    """
    with session(connection) as older:
        older.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        older.execute("SELECT count(*) FROM public.Resources, public.DicomIdentifiers")
        if writes:
            older.execute("LOCK TABLE public.Resources IN ROW EXCLUSIVE MODE")
        yield lambda: older.execute("ROLLBACK")


def someone_waits_in(connection: psycopg.Connection, statement: str) -> bool:
    """Whether another session waits for a lock in a statement that is LIKE this one."""
    return _any(
        connection,
        "SELECT FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        " AND state = 'active' AND wait_event_type = 'Lock' AND query LIKE %s",
        statement,
    )


def set_up_is_locked(connection: psycopg.Connection) -> bool:
    """Whether somebody holds the set-up lock."""
    return _any(
        connection,
        "SELECT FROM pg_locks l JOIN pg_database d ON d.oid = l.database"
        " WHERE d.datname = current_database() AND l.locktype = 'advisory' AND l.objid = %s AND l.granted",
        SETUP_KEY,
    )


class Barrier:
    """An advisory lock at which an upgrade arrives and waits, until it is lifted. Context manager.

    `in_switch` and `at_commit` say where; PostgreSQL's own hooks (event triggers, deferred triggers) bring it there.
    """

    def __init__(self, connection: psycopg.Connection) -> None:
        self._connection = connection
        self._session = session(connection)
        connection.execute("CREATE SCHEMA test_barrier")
        # Whatever lock_timeout the step has set is for the locks that it takes itself.
        for kind, where in (
            ("trigger", "true"),
            (
                "event_trigger",
                "EXISTS (SELECT FROM pg_locks WHERE pid = pg_backend_pid() AND granted AND mode = 'AccessExclusiveLock'"
                " AND relation = to_regclass('public.globalproperties'))",
            ),
        ):
            connection.execute(
                f"CREATE FUNCTION test_barrier.wait_{kind}() RETURNS {kind} LANGUAGE plpgsql SET lock_timeout TO 0 AS"
                f" $$ BEGIN IF {where} THEN PERFORM pg_advisory_xact_lock_shared({_BARRIER_KEY}); END IF;"
                f" {'RETURN NULL;' if kind == 'trigger' else ''} END $$"
            )

    def __enter__(self) -> "Barrier":
        self._session.execute(f"SELECT pg_advisory_lock({_BARRIER_KEY})")
        return self

    def __exit__(self, *_: object) -> None:
        self._session.close()

    def in_switch(self, command: str) -> None:
        """Where the switch, with all its locks, has just run its first command of that kind (CREATE TRIGGER …)."""
        self._connection.execute(
            f"CREATE EVENT TRIGGER test_barrier ON ddl_command_end WHEN tag IN ('{command}')"
            " EXECUTE FUNCTION test_barrier.wait_event_trigger()"
        )

    def at_commit(self, step: str) -> None:
        """Where the transaction that ends a step has done everything and begins to commit."""
        self._connection.execute(
            "CREATE CONSTRAINT TRIGGER test_barrier AFTER INSERT ON cluster.schema_history"
            f" DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (new.step = '{step}')"
            " EXECUTE FUNCTION test_barrier.wait_trigger()"
        )

    def wait_for_arrival(self) -> bool:
        """Until an upgrade stands at the barrier."""
        return wait_until(
            lambda: _any(
                self._connection,
                "SELECT FROM pg_locks l JOIN pg_database d ON d.oid = l.database"
                " WHERE d.datname = current_database() AND l.objid = %s AND NOT l.granted",
                _BARRIER_KEY,
            ),
            30,
        )

    def lift(self) -> None:
        """Let go on who stands there, and everybody later."""
        self._session.execute("SELECT pg_advisory_unlock_all()")


def _any(connection: psycopg.Connection, query: str, value: object) -> bool:
    row = connection.execute(f"SELECT EXISTS ({query})", (value,)).fetchone()
    return bool(row and row[0])
