"""Long work on rows, beside writers: many short transactions, resumed where the last one ended."""

import time
from collections.abc import Callable
from functools import partial
from typing import LiteralString

import psycopg
from psycopg.rows import TupleRow

from cluster.database import queries
from cluster.schema.by_rank import write_by_rank
from cluster.schema.ledger import Ledger
from cluster.schema.pace import Pace, in_spite_of_others
from cluster.schema.phases import OnlineStep
from cluster.schema.session import changed_settings

_SETTINGS = {
    # Rows and key are lost together if the server crashes, and the last commit waits for all that went before.
    "synchronous_commit": "off",
    # One process: more of them count the children once each, and take the writers' processors.
    "max_parallel_workers_per_gather": "0",
    "jit": "off",
}
_FIRST_SIZE = 1_000
_LARGEST_SIZE = 5_000_000
_FEW_ROWS = 1_000
"""Without keys: so few rows that the writers of now are the only ones who add to them."""


def run_batches(
    connection: psycopg.Connection[TupleRow],
    ledger: Ledger,
    step: OnlineStep,
    *,
    share: float,
    pause: Callable[[float], None],
) -> None:
    """Do all batches of a step, from where the last upgrader left it.

    Args:
        share: of the time that may be worked, above 0 and up to 1.
        pause: waits for some seconds, or raises what ends the work.

    Raises:
        LockNotAvailable: another upgrader has taken over.
    """
    sql = queries("cluster.schema", step.file)
    row = connection.execute(sql["end"]).fetchone() if "end" in sql else None
    after, end = ledger.begin(step.name, row[0] if row else None)
    with changed_settings(connection, **_SETTINGS):
        if "read" in sql:
            write_by_rank(connection, ledger, step, after, end, share=share, pause=pause)
        else:
            _write_at_once(connection, ledger, step, after, end, Pace(_FIRST_SIZE, _LARGEST_SIZE, share, pause))
    with ledger.transaction(connection):
        if "finish" in sql:
            connection.execute(sql["finish"])
        ledger.end(connection, step.name)


def _write_at_once(
    connection: psycopg.Connection[TupleRow], ledger: Ledger, step: OnlineStep, after: int, end: int, pace: Pace
) -> None:
    """One statement a batch, which finds its rows itself: those of some keys; without keys, as many as it likes."""
    sql = queries("cluster.schema", step.file)
    rows = _FEW_ROWS
    while after < end if "end" in sql else rows >= _FEW_ROWS:
        started = time.monotonic()
        upto = _upto(connection, sql, after, pace.size, end)
        values = {"after": after, "upto": upto, "end": end}
        rows = in_spite_of_others(step.name, partial(_batch, connection, ledger, step, values))
        after = upto
        pace.worked(time.monotonic() - started)


def _upto(
    connection: psycopg.Connection[TupleRow], sql: dict[str, LiteralString], after: int, size: int, end: int
) -> int:
    """The last key of the next batch; keys are counted where a file says how, else they are dense enough."""
    if "window" not in sql:
        return min(after + size, end)
    row = connection.execute(sql["window"], {"after": after, "size": size}).fetchone()
    return row[0] if row and row[0] is not None else end


def _batch(connection: psycopg.Connection[TupleRow], ledger: Ledger, step: OnlineStep, values: dict[str, int]) -> int:
    """One batch in one transaction; how many rows it was about."""
    sql = queries("cluster.schema", step.file)
    with ledger.transaction(connection), connection.cursor() as cursor:
        held: list[int] = []
        if "hold" in sql:
            held = [row[0] for row in cursor.execute(sql["hold"], values)]
        cursor.execute(sql["batch"], {**values, "held": held})
        # A statement that ends with SELECT says itself how many.
        row = cursor.fetchone() if cursor.description else None
        rows = int(row[0]) if row else cursor.rowcount
        ledger.advance(connection, step.name, values["upto"], rows)
    return rows
