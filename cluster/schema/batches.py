"""Long work on rows, beside writers: many short transactions, resumed where the last one ended.

Each batch takes about a fifth of a second, whatever the machine: longer ones would keep writers waiting for a row,
shorter ones pay too much for their commits. Between two batches the work pauses, so that it takes no more than its
share of the time.
"""

import time
from collections import defaultdict
from collections.abc import Callable
from typing import LiteralString

import psycopg
from psycopg.rows import TupleRow

from cluster.database import queries
from cluster.errors import SerializationConflict
from cluster.schema.ledger import Ledger
from cluster.schema.phases import OnlineStep

_BATCH_SECONDS = 0.2
_FIRST_SIZE = 1_000
_LARGEST_SIZE = 5_000_000
_FEW_ROWS = 1_000
"""Without keys: so few rows that the writers of now are the only ones who add to them."""
_CONFLICTS = 20


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
    has_keys = "end" in sql
    # Rows and key are lost together if the server crashes, and the last commit waits for all that went before.
    connection.execute("SET synchronous_commit TO off")
    size, rows = _FIRST_SIZE, _FEW_ROWS
    while after < end if has_keys else rows >= _FEW_ROWS:
        started = time.monotonic()
        upto = _upto(connection, sql, after, size, end)
        rows = _batch(connection, ledger, step, {"after": after, "upto": upto, "end": end})
        seconds = time.monotonic() - started
        after = upto
        # Half to twice as many next time, towards the time that a batch shall take.
        size = int(max(_FIRST_SIZE, min(_LARGEST_SIZE, size * max(0.5, min(2.0, _BATCH_SECONDS / seconds)))))
        pause(seconds * (1 / share - 1))
    connection.execute("RESET synchronous_commit")
    with ledger.transaction(connection):
        if "finish" in sql:
            connection.execute(sql["finish"])
        ledger.end(connection, step.name)


def _upto(
    connection: psycopg.Connection[TupleRow], sql: dict[str, LiteralString], after: int, size: int, end: int
) -> int:
    """The last key of the next batch; keys are counted where a file says how, else they are dense enough."""
    if "window" not in sql:
        return min(after + size, end)
    row = connection.execute(sql["window"], {"after": after, "size": size}).fetchone()
    return row[0] if row and row[0] is not None else end


def _batch(connection: psycopg.Connection[TupleRow], ledger: Ledger, step: OnlineStep, values: dict[str, int]) -> int:
    """One batch in one transaction; how many rows it was about. Whoever deletes resources may be in the way."""
    work = _ranks if "read" in queries("cluster.schema", step.file) else _at_once
    for attempt in range(_CONFLICTS):
        try:
            return work(connection, ledger, step, values)
        except (psycopg.errors.DeadlockDetected, psycopg.errors.ForeignKeyViolation, psycopg.errors.LockNotAvailable):
            time.sleep(0.02 * attempt)
    raise SerializationConflict(f"{step.name}: other sessions were in the way {_CONFLICTS} times")


def _ranks(connection: psycopg.Connection[TupleRow], ledger: Ledger, step: OnlineStep, values: dict[str, int]) -> int:
    """A batch that is read without locks and written in several transactions, one for each rank of its rows."""
    sql = queries("cluster.schema", step.file)
    ranks: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for key, value, rank in connection.execute(sql["read"], values):
        ranks[rank].append((key, value))
    for rank in sorted(ranks):
        ids, numbers = zip(*ranks[rank], strict=True)
        with ledger.transaction(connection):
            connection.execute(sql["write"], {"ids": list(ids), "numbers": list(numbers)})
    rows = sum(map(len, ranks.values()))
    with ledger.transaction(connection):
        ledger.advance(connection, step.name, values["upto"], rows)
    return rows


def _at_once(connection: psycopg.Connection[TupleRow], ledger: Ledger, step: OnlineStep, values: dict[str, int]) -> int:
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
