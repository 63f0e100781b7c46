"""Rows of full heap pages updated one of each page at a time, window by window.

A page of an old archive is full: the first update moves a row away, with new entries in all indexes. Once that is
committed, and older than every transaction under way, the page is pruned and the next updates stay in it (heap-only
tuples). So a window is large, for the pages of a rank to be old when the next rank comes, and its transactions are
small, for nobody to wait long for a row.

The key up to which the step is done moves when a window is, the number of rows with each transaction. Who is killed in
between leaves a window whose rows are in part done; they are not read again.
"""

import time
from collections.abc import Callable, Sequence
from functools import partial

import psycopg
from psycopg.rows import TupleRow

from cluster.database import queries
from cluster.schema.ledger import Ledger
from cluster.schema.pace import Pace, in_spite_of_others
from cluster.schema.phases import OnlineStep
from cluster.schema.read_ahead import ReadAhead, Row, Window

_KEYS = 1_000_000
"""Of a window; what is read of it is held in memory."""
_SMALLEST = 100
_LARGEST = 2_000
"""Rows of a transaction; those that move take a twentieth of a millisecond each where all is in memory."""


def write_by_rank(
    connection: psycopg.Connection[TupleRow],
    ledger: Ledger,
    step: OnlineStep,
    after: int,
    end: int,
    *,
    share: float,
    pause: Callable[[float], None],
) -> None:
    """Do the windows from key `after` to key `end`; arguments as those of `run_batches`."""
    windows = (Window(first, min(first + _KEYS, end)) for first in range(after, end, _KEYS))
    pace = Pace(_SMALLEST, _LARGEST, share, pause)
    with ReadAhead(connection, queries("cluster.schema", step.file)["read"], windows, pause) as ahead:
        for window, ranks in ahead.taken():
            for place, rank in enumerate(sorted(ranks)):
                if place == 1:
                    # As long as the next window is being read, what the first rank left behind cannot be pruned.
                    ahead.wait()
                _write(connection, ledger, step, ranks[rank], pace)
            with ledger.transaction(connection):
                ledger.advance(connection, step.name, window.upto, 0)
            pace.rest(ahead.seconds_since())


def _write(
    connection: psycopg.Connection[TupleRow], ledger: Ledger, step: OnlineStep, rows: Sequence[Row], pace: Pace
) -> None:
    """One rank, some rows a transaction."""
    first = 0
    while first < len(rows):
        started = time.monotonic()
        part = rows[first : first + pace.size]
        in_spite_of_others(step.name, partial(_transaction, connection, ledger, step, part))
        first += len(part)
        pace.worked(time.monotonic() - started)


def _transaction(
    connection: psycopg.Connection[TupleRow], ledger: Ledger, step: OnlineStep, rows: Sequence[Row]
) -> int:
    ids, numbers = zip(*rows, strict=True)
    with ledger.transaction(connection):
        write = queries("cluster.schema", step.file)["write"]
        done = connection.execute(write, {"ids": list(ids), "numbers": list(numbers)}).rowcount
        ledger.advance(connection, step.name, 0, done)
    return done
