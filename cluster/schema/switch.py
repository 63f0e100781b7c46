"""The switch: one short transaction that changes the revision, once everything long is done or put off.

Writers wait for it, so it must not wait for them for long: it asks for its locks with a short lock_timeout and, if they
do not come, lets everybody go on for a while and tries again. Nobody therefore waits for longer than the time-out plus
the switch itself.
"""

import random
import time
from collections.abc import Callable

import psycopg
from psycopg import sql
from psycopg.rows import TupleRow

from cluster.errors import LockNotAvailable
from cluster.schema.ledger import Ledger
from cluster.schema.migration import script
from cluster.schema.phases import OnlineStep

_LOCK_TIMEOUT_MILLISECONDS = 250
_VACUUM_TIMEOUT_MILLISECONDS = 10_000
_PAUSE_SECONDS = (0.2, 1.0)

# In the order in which writers come by them; what a revision does not have is left out.
_TABLES = (
    "resources",
    "patientrecyclingorder",
    "attachedfiles",
    "dicomidentifiers",
    "maindicomtags",
    "metadata",
    "labels",
    "changes",
    "exportedresources",
    "invalidchildcounts",
    "globalintegers",
    "globalintegerschanges",
    "keyvaluestores",
    "queues",
    "globalproperties",
)


def switch(
    connection: psycopg.Connection[TupleRow],
    ledger: Ledger,
    step: OnlineStep,
    schema_name: str,
    source: int,
    target: int,
    *,
    check: Callable[[psycopg.Connection[TupleRow]], None],
    pause: Callable[[float], None],
    waiting: Callable[[str], None],
) -> None:
    """Change the revision, and write down for how long everybody else had to wait.

    That is measured up to just before the commit and is part of the same transaction: whoever finds the switch done
    finds the time too, though the commit's own wait for the disk is not in it.

    Args:
        check: called in the transaction before any lock is taken; raises what forbids the switch now.
        pause: waits for some seconds, or raises what ends the work.
        waiting: is told who is in the way, each time that a lock did not come.

    Raises:
        LockNotAvailable: another upgrader has taken over, or a node of Orthanc's holds the database for itself.
    """
    statements = "\n".join(text for _, _, text in script(schema_name, source, target, online=True)).encode()

    def change(locked_at: float) -> None:
        try:
            connection.execute(statements)
        except psycopg.errors.LockNotAvailable as error:
            raise LockNotAvailable(f"{error.diag.message_primary}") from error
        ledger.end(connection, step.name)
        ledger.held(connection, step.name, (time.monotonic() - locked_at) * 1000)

    with_all_tables(connection, ledger, schema_name, change, check=check, pause=pause, waiting=waiting)


def with_all_tables(
    connection: psycopg.Connection[TupleRow],
    ledger: Ledger,
    schema_name: str,
    work: Callable[[float], object],
    *,
    check: Callable[[psycopg.Connection[TupleRow]], None] = lambda connection: None,
    pause: Callable[[float], None],
    waiting: Callable[[str], None],
) -> None:
    """Do something short in a transaction that has all tables for itself; `work` is told since when.

    Args:
        check, pause, waiting: as in `switch`.

    Raises:
        LockNotAvailable: another upgrader has taken over.
    """
    while True:
        with ledger.transaction(connection):
            check(connection)
            locked_at = _lock(connection, schema_name, waiting)
            if locked_at is not None:
                work(locked_at)
        if locked_at is not None:
            return
        pause(random.uniform(*_PAUSE_SECONDS))  # noqa: S311 - not for secrets


def _lock(connection: psycopg.Connection[TupleRow], schema_name: str, waiting: Callable[[str], None]) -> float | None:
    """Have all tables for ourselves, from the time that is returned; None if somebody is in the way."""
    tables = [
        sql.Identifier(schema_name, name)
        for (name,) in connection.execute(
            "SELECT name FROM unnest(%s::text[]) WITH ORDINALITY AS t (name, place)"
            " WHERE to_regclass(quote_ident(%s) || '.' || name) IS NOT NULL ORDER BY place",
            (list(_TABLES), schema_name),
        )
    ]
    names = sql.SQL(", ").join(tables)
    # First a lock that no writer notices: it sends autovacuum away, which takes longer than the time-out below, and
    # keeps it away.
    for mode, milliseconds in (
        ("SHARE UPDATE EXCLUSIVE", _VACUUM_TIMEOUT_MILLISECONDS),
        ("ACCESS EXCLUSIVE", _LOCK_TIMEOUT_MILLISECONDS),
    ):
        connection.execute(sql.SQL("SET LOCAL lock_timeout TO {}").format(sql.Literal(f"{milliseconds}ms")))
        try:
            with connection.transaction():
                connection.execute(sql.SQL("LOCK TABLE {} IN {} MODE").format(names, sql.SQL(mode)))
        except psycopg.errors.LockNotAvailable:
            waiting(_in_the_way(connection, schema_name))
            return None
    return time.monotonic()


def _in_the_way(connection: psycopg.Connection[TupleRow], schema_name: str) -> str:
    """Who works on the tables now, the longest first; a query's text may hold patients' data, so it is not shown."""
    rows = connection.execute(
        "SELECT a.pid, coalesce(nullif(a.application_name, ''), a.backend_type), a.state,"
        "       extract(epoch FROM clock_timestamp() - a.xact_start)::integer"
        "  FROM pg_stat_activity a WHERE a.pid <> pg_backend_pid() AND a.xact_start IS NOT NULL AND a.pid IN"
        "       (SELECT l.pid FROM pg_locks l JOIN pg_class c ON c.oid = l.relation"
        "         WHERE l.granted AND c.relnamespace = to_regnamespace(quote_ident(%s)))"
        " ORDER BY a.xact_start LIMIT 3",
        (schema_name,),
    ).fetchall()
    return "; ".join(f"pid {pid} ({who}, {state} for {seconds} s)" for pid, who, state, seconds in rows) or "nobody now"
