"""Windows of rows read on a connection of their own while what was read before is written.

It only reads, so it needs no fence against a successor: what it read is written, or not, by the upgrader's session.
"""

import contextlib
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import asdict, dataclass
from types import TracebackType
from typing import LiteralString, Self

import psycopg
from psycopg.rows import TupleRow

from cluster.schema.session import same_server

_PATIENCE_SECONDS = 0.5

Row = tuple[int, int]
"""Key and value."""
Ranks = Mapping[int, Sequence[Row]]


@dataclass(frozen=True, slots=True)
class Window:
    """The keys above `after`, up to `upto`."""

    after: int
    upto: int


class ReadAhead:
    """Reads one window ahead. Context manager: no read is under way and the connection is closed after the block."""

    def __init__(
        self,
        session: psycopg.Connection[TupleRow],
        query: LiteralString,
        windows: Iterable[Window],
        pause: Callable[[float], None],
    ) -> None:
        """
        Args:
            session: the upgrader's, whose database and search path are used.
            query: gives key, value and rank of the rows of a window.
            pause: is called now and then while a read is waited for; raises what ends the work.
        """
        self._session = session
        self._query = query
        self._windows = iter(windows)
        self._pause = pause
        self._pool = ThreadPoolExecutor(1, "read-ahead")
        self._next: Future[tuple[Window, Ranks]] | None = None
        self._seconds = 0.0

    def __enter__(self) -> Self:
        self._connection = same_server(self._session)
        # One process: more of them count the children once each, and take the writers' processors.
        for setting in ("max_parallel_workers_per_gather TO 0", "jit TO off", "default_transaction_read_only TO on"):
            self._connection.execute(f"SET {setting}".encode())
        self._begin()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._next is not None and not self._next.done():
            with contextlib.suppress(psycopg.Error):
                self._connection.cancel_safe(timeout=1)
        self._pool.shutdown()
        self._connection.close()

    def taken(self) -> Iterator[tuple[Window, Ranks]]:
        """Each window with its rows by rank; the one after it is read meanwhile."""
        while self._next is not None:
            self.wait()
            found = self._next.result()
            self._begin()
            yield found

    def wait(self) -> None:
        """Return when nothing is being read."""
        while self._next is not None and not wait([self._next], _PATIENCE_SECONDS).done:
            self._pause(0)

    def seconds_since(self) -> float:
        """How long was read since the last time this was asked."""
        seconds, self._seconds = self._seconds, 0.0
        return seconds

    def _begin(self) -> None:
        window = next(self._windows, None)
        self._next = self._pool.submit(self._read, window) if window else None

    def _read(self, window: Window) -> tuple[Window, Ranks]:
        started = time.monotonic()
        ranks: dict[int, list[Row]] = defaultdict(list)
        for key, value, rank in self._connection.execute(self._query, asdict(window)):
            ranks[rank].append((key, value))
        self._seconds = time.monotonic() - started
        return window, ranks
