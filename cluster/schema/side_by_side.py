"""Several sessions of one upgrader that do the same at the same time, each a part of it.

One session is busy with one processor, and beside writers it waits for its turn; it is the number of sessions that
decides how fast rows are written. Each transaction of each of them holds the epoch (`ledger.py`), so none outlives the
upgrader that began it.
"""

import contextlib
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from types import TracebackType
from typing import Any, Self, TypeVar

import psycopg
from psycopg.rows import TupleRow

from cluster.schema.session import same_server

_LOG = logging.getLogger(__name__)
_PATIENCE_SECONDS = 0.5
_CANCEL_SECONDS = 0.1

Session = psycopg.Connection[TupleRow]
Part = TypeVar("Part")
Result = TypeVar("Result")


class SideBySide:
    """The upgrader's own session and others like it. Context manager: after the block the others are closed."""

    def __init__(self, session: Session, number: int, pause: Callable[[float], None]) -> None:
        """
        Args:
            session: the upgrader's, whose server, database and settings the others share.
            number: of sessions, this one included; fewer where the server has no more connections to give.
            pause: is called now and then while the others are waited for; raises what ends the work.
        """
        self._session = session
        self.number = number
        self._pause = pause
        self._others: list[Session] = []
        self._busy: list[Future[Any]] = []

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as opened:
            try:
                for _ in range(self.number - 1):
                    self._others.append(opened.enter_context(contextlib.closing(same_server(self._session))))
            except psycopg.OperationalError as error:
                self.number = 1 + len(self._others)
                _LOG.info("sessions side by side: only %d, as there is no further connection: %s", self.number, error)
            self._pool = ThreadPoolExecutor(max(1, self.number - 1), "side-by-side")
            self._closing = opened.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # Again and again: a statement that begins just now would not notice.
        while wait(self._busy, 0).not_done:
            for other in self._others:
                with contextlib.suppress(psycopg.Error):
                    other.cancel_safe(timeout=1)
            wait(self._busy, _CANCEL_SECONDS)
        self._pool.shutdown()
        self._closing.close()

    def each(self, work: Callable[[Session, Part], Result], parts: Sequence[Part]) -> list[Result]:
        """Do the first part on the upgrader's session and in this thread, the others meanwhile.

        Args:
            parts: as many as there are sessions, or fewer.
        """
        others = [self._pool.submit(work, other, part) for other, part in zip(self._others, parts[1:], strict=False)]
        self._busy = list(others)
        results = [work(self._session, part) for part in parts[:1]]
        while wait(others, _PATIENCE_SECONDS).not_done:
            self._pause(0)
        return [*results, *(other.result() for other in others)]
