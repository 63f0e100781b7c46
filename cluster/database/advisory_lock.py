"""PostgreSQL's session-level advisory locks, with the keys of Orthanc's plugins (interop/schema.md 10).

Polled with `pg_try_advisory_lock`: a session that waits inside `pg_advisory_lock` holds a snapshot, which deadlocks
with CREATE INDEX CONCURRENTLY, and lock_timeout would end it early
(https://www.postgresql.org/docs/current/explicit-locking.html#ADVISORY-LOCKS).
"""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

INDEX_KEY = 42
"""Held for life by a node with `Lock: true`, Orthanc's index plugin and ours alike."""

STORAGE_KEY = 43
"""The same for the storage area in PostgreSQL."""

SETUP_KEY = 44
"""Taken around every look at and change of the schema, by Orthanc's plugins too."""

BACK_FILL_KEY = 4_410
"""Ours, which no plugin of Orthanc's knows: held by whoever does what an upgrade left for after its switch."""

BUILDER_KEY = 4_411
"""Ours too: held by the session that builds indexes ahead of the upgrader (`cluster/schema/build_ahead.py`). Whoever
has the set-up lock and changes the schema sees first that nobody has this one."""

HOUSEKEEPING_KEY = 4_414
"""Ours too: held by the process that keeps house (`cluster/coordinator/election.py`)."""


def hold_advisory_lock(connection: psycopg.Connection, key: int) -> bool:
    """Take the lock if it is free, and keep it until the connection ends; whether it was taken."""
    row = connection.execute("SELECT pg_try_advisory_lock(%s::bigint)", (key,)).fetchone()
    return bool(row and row[0])


@contextmanager
def try_advisory_lock(connection: psycopg.Connection, key: int) -> Iterator[bool]:
    """Hold the lock for the block if it is free; yields whether it is held.

    The connection must be a direct one in autocommit mode: the lock lives and dies with its session.
    """
    held = hold_advisory_lock(connection, key)
    try:
        yield held
    finally:
        if held and not connection.closed:
            connection.execute("SELECT pg_advisory_unlock(%s::bigint)", (key,))
