"""New changes for all who wait for them in this process: one look at the index serves every follower.

Why looks and no LISTEN/NOTIFY: a COMMIT with a NOTIFY holds one lock of the whole database server until it is done, so
that all writers of all nodes would commit one after the other. One short query four times a second, and only while
somebody waits, costs the writers nothing, and finds what a real Orthanc wrote, too.

Invariant: a follower that has seen everything up to `last` gets what comes behind it, without a gap, as one page; who
is further behind reads the log. Changes are in the order of their commits (cluster/index/changes.py), so neither can
miss one.

All methods but `end` belong to the event loop's thread.
"""

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from cluster.errors import ClusterError, NodeBusy
from cluster.index.changes import ChangePage
from workers.http.threads import ThreadPool

_LOG = logging.getLogger(__name__)

POLL_SECONDS = 0.25
"""Between two looks, hence how old news may be."""

CHANGES_AT_A_TIME = 1000

MAXIMUM_FOLLOWERS = 1000
"""Of one process; each costs a connection to the client and some kilobytes, but neither a thread nor a session."""


class ChangeFeed:
    """The end of the log, watched while somebody waits."""

    def __init__(self, read: Callable[[int, int], ChangePage]) -> None:
        """
        Args:
            read: the first changes behind a number, at most so many; may block.
        """
        self._read = read
        self.threads = ThreadPool("follow", 2, MAXIMUM_FOLLOWERS)
        """For the looks, and for followers that are behind."""
        self._followers = 0
        self._last = 0
        self._waiting: set[asyncio.Future[ChangePage | None]] = set()
        self._watch: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self.ended = False
        """Whether this process serves no followers any more."""

    @contextmanager
    def admit(self) -> Iterator[None]:
        """Count one follower for as long as the block lasts; raises NodeBusy if there are too many."""
        if self.ended or self._followers == MAXIMUM_FOLLOWERS:
            raise NodeBusy("this node has as many followers of its changes as it can take")
        self._followers += 1
        try:
            yield
        finally:
            self._followers -= 1

    def is_beyond(self, last: int) -> bool:
        """Whether changes behind `last` have come that `news` will not bring any more."""
        return self._watch is not None and self._last > last

    async def news(self, last: int, seconds: float) -> ChangePage | None:
        """All changes from some number that is not above `last`, as soon as there are any.

        None after `seconds`, or when the feed ends. Not to be asked while `is_beyond(last)`.
        """
        if self.ended:
            return None
        self._loop = asyncio.get_running_loop()
        if self._watch is None:
            self._last = last
            self._watch = self._loop.create_task(self._look())
        waiting: asyncio.Future[ChangePage | None] = self._loop.create_future()
        self._waiting.add(waiting)
        try:
            async with asyncio.timeout(seconds):
                return await waiting
        except TimeoutError:
            return None
        finally:
            self._waiting.discard(waiting)

    def end(self) -> None:
        """Let all who wait go, and take nobody any more. For any thread."""
        self.ended = True
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._wake, None)

    async def _look(self) -> None:
        try:
            while self._waiting and not self.ended:
                if await self._one_look():
                    await asyncio.sleep(POLL_SECONDS)
        finally:
            self._watch = None

    async def _one_look(self) -> bool:
        """Whether that was all there is for now."""
        try:
            page = await self.threads.run(self._read, self._last, CHANGES_AT_A_TIME)
        except ClusterError as error:
            _LOG.warning("looking for changes failed and will be tried again: %s", error)
            return True
        has_news = page.last > self._last
        # Lower where somebody restored a backup: then followers that are ahead must not think that they are behind.
        self._last = page.last
        if has_news:
            self._wake(page)
        return page.done

    def _wake(self, page: ChangePage | None) -> None:
        for waiting in self._waiting:
            if not waiting.done():
                waiting.set_result(page)
        self._waiting = set()
