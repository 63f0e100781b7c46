"""Rows of full heap pages updated one of each page at a time, window by window.

A page of an old archive is full: the first update moves a row away, with new entries in all indexes. Once that is
committed, and older than every transaction under way, the page is pruned and the next updates stay in it (heap-only
tuples). So a window is large, for the pages of a rank to be old when the next rank comes, and its transactions are
small, for nobody to wait long for a row. Nothing is read meanwhile: a snapshot would keep the pages full.

Two sessions do half of a window each (`side_by_side.py`): reading, then rank by rank.

The key up to which the step is done moves when a window is, the number of rows with each transaction. Who is killed in
between leaves a window whose rows are in part done; they are not read again.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import pairwise

import psycopg
from psycopg.rows import TupleRow

from cluster.database import queries
from cluster.schema.ledger import Ledger
from cluster.schema.pace import Pace, in_spite_of_others
from cluster.schema.phases import OnlineStep
from cluster.schema.side_by_side import Session, SideBySide

_KEYS = 2_000_000
"""Of a window; what is read of it is held in memory."""
_SMALLEST = 100
_LARGEST = 2_000
"""Rows of a transaction; those that move take a twentieth of a millisecond each where all is in memory."""
_SESSIONS = 2

Row = tuple[int, int]
"""Key and value."""
Ranks = Mapping[int, Sequence[Row]]


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
    pace = Pace(_SMALLEST, _LARGEST, share, pause)
    with SideBySide(connection, _SESSIONS, pause) as sessions:
        for first in range(after, end, _KEYS):
            upto = min(first + _KEYS, end)
            started = time.monotonic()
            found = sessions.each(partial(_read, step), _parts(first, upto, sessions.number))
            pace.rest(time.monotonic() - started)
            for rank in sorted({rank for ranks in found for rank in ranks}):
                _write(sessions, ledger, step, [ranks.get(rank, ()) for ranks in found], pace)
            with ledger.transaction(connection):
                ledger.advance(connection, step.name, upto, 0)


def _parts(after: int, upto: int, number: int) -> list[tuple[int, int]]:
    """The keys above `after` and up to `upto`, for each session its part of them."""
    keys = upto - after
    return list(pairwise(after + keys * part // number for part in range(number + 1)))


def _read(step: OnlineStep, session: Session, keys: tuple[int, int]) -> Ranks:
    ranks: dict[int, list[Row]] = defaultdict(list)
    query = queries("cluster.schema", step.file)["read"]
    for key, value, rank in session.execute(query, {"after": keys[0], "upto": keys[1]}):
        ranks[rank].append((key, value))
    return ranks


def _write(sessions: SideBySide, ledger: Ledger, step: OnlineStep, rows: Sequence[Sequence[Row]], pace: Pace) -> None:
    """One rank, some rows of each session's part a transaction."""
    first = 0
    while first < max(map(len, rows)):
        started = time.monotonic()
        now = slice(first, first + pace.size)
        sessions.each(partial(_transaction, ledger, step), [part[now] for part in rows])
        first = now.stop
        pace.worked(time.monotonic() - started)


def _transaction(ledger: Ledger, step: OnlineStep, session: Session, rows: Sequence[Row]) -> None:
    if not rows:
        return
    ids, numbers = zip(*rows, strict=True)
    write = queries("cluster.schema", step.file)["write"]

    def work() -> int:
        with ledger.transaction(session):
            done = session.execute(write, {"ids": list(ids), "numbers": list(numbers)}).rowcount
            ledger.advance(session, step.name, 0, done)
        return done

    in_spite_of_others(step.name, work)
