"""Followers of the log of changes: GET /changes that waits, and the same as server-sent events.

Our own additions to the REST API. Both begin behind a number that the client names, so whoever comes back after a
broken connection, to this node or another one, goes on where it was: nothing is missed, nothing comes twice.
"""

import asyncio
import json
import logging
import re
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack

from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from cluster.errors import ClusterError
from cluster.index.changes import Change, ChangePage, changes_since
from workers.http.change_feed import POLL_SECONDS, ChangeFeed
from workers.http.change_json import change_as_json
from workers.http.services import Services

_LOG = logging.getLogger(__name__)

HEARTBEAT_SECONDS = 15
"""Shorter than the idle time of common load balancers."""

RECONNECT_MILLISECONDS = 2000

EVENTS_AT_A_TIME = 1000

EVENT_STREAM = "text/event-stream"

_EVENT_ID = re.compile(r"[0-9]{1,18}", re.ASCII)


class Follower:
    """One reader's place in the log."""

    def __init__(self, services: Services, since: int, limit: int, types: Sequence[int] | None) -> None:
        self._services = services
        self._feed: ChangeFeed = services.feed
        self._limit = limit
        self._types = types
        self._is_behind = True
        self.position = since
        """Everything up to here was given out, or is not wanted."""
        self.last = 0
        """Number of the last change of all, as far as known."""

    async def next(self, seconds: float) -> ChangePage | None:
        """Some changes, the first ones behind `position`; None after `seconds`, or when the feed has ended."""
        deadline = time.monotonic() + seconds
        while True:
            if self._is_behind:
                page = await self._feed.threads.run(self._from_log)
                self._is_behind = not page.done
            elif self._feed.is_beyond(max(self.position, self.last)):
                self._is_behind = True
                continue
            else:
                news = await self._feed.news(self.last, deadline - time.monotonic())
                if news is None:
                    return None
                page = self._cut(news)
            self.last = max(self.last, page.last)
            # A client may name a number that does not exist yet.
            self.position = max(self.position, page.last)
            if page.changes:
                return page

    def _from_log(self) -> ChangePage:
        return changes_since(self._services.database, self.position, self._limit, types=self._types)

    def _cut(self, news: ChangePage) -> ChangePage:
        """What this reader wants of it. The rest of it is in the log, too."""
        wanted = [change for change in news.changes if change.seq > self.position and self._wants(change)]
        if len(wanted) <= self._limit:
            return ChangePage(tuple(wanted), True, news.last)
        self._is_behind = True
        return ChangePage(tuple(wanted[: self._limit]), False, wanted[self._limit - 1].seq)

    def _wants(self, change: Change) -> bool:
        return self._types is None or change.change_type in self._types


async def wait_for_page(
    services: Services, request: Request, since: int, limit: int, types: Sequence[int] | None, seconds: float
) -> ChangePage:
    """The first page behind `since` that has changes; an empty one after `seconds`, or when this process drains."""
    services.require_ready()
    with services.feed.admit():
        follower = Follower(services, since, limit, types)
        page = asyncio.ensure_future(follower.next(seconds))
        gone = asyncio.ensure_future(_disconnected(request))
        try:
            await asyncio.wait({page, gone}, return_when=asyncio.FIRST_COMPLETED)
            found = page.result() if page.done() else None
        finally:
            page.cancel()
            gone.cancel()
    return found or ChangePage((), True, follower.last)


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def event_stream(
    services: Services, request: Request, since: int, types: Sequence[int] | None
) -> StreamingResponse:
    """All changes behind `since`, or the header ``Last-Event-ID``, then each that comes, until somebody leaves."""
    services.require_ready()
    last_event = request.headers.get("last-event-id", "").strip()
    if _EVENT_ID.fullmatch(last_event):
        since = int(last_event)
    follower = Follower(services, since, EVENTS_AT_A_TIME, types)
    with ExitStack() as stack:
        stack.enter_context(services.feed.admit())
        # Here an error can still become a status.
        first = await follower.next(0)
        return _EventStream(_events(services.feed, follower, first), stack.pop_all())


class _EventStream(StreamingResponse):
    def __init__(self, events: AsyncIterator[bytes], admission: ExitStack) -> None:
        # The last one is for nginx, which would keep the events back.
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        super().__init__(events, headers=headers, media_type=EVENT_STREAM)
        self._admission = admission

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._admission:
            await super().__call__(scope, receive, send)


async def _events(feed: ChangeFeed, follower: Follower, page: ChangePage | None) -> AsyncIterator[bytes]:
    yield f"retry: {RECONNECT_MILLISECONDS}\n\n".encode()
    while True:
        if page is not None:
            yield "".join(_event(change) for change in page.changes).encode()
        if feed.ended:
            return
        try:
            page = await follower.next(HEARTBEAT_SECONDS)
        except ClusterError as error:
            # Ending would not help: browsers give a stream up for good when its renewal is answered with 503.
            _LOG.warning("a follower of changes waits for the database: %s", error)
            page = None
            await asyncio.sleep(POLL_SECONDS)
        if page is None and not feed.ended:
            # A comment keeps proxies from closing; the id moves on where changes of other types came.
            yield f": nothing new\nid: {follower.position}\n\n".encode()


def _event(change: Change) -> str:
    return f"id: {change.seq}\ndata: {json.dumps(change_as_json(change))}\n\n"
