"""HTTP/1.1 of uvicorn, with the limits that it has none of: the size of a request's head, and the time it may take.

Both concern whoever can connect, before any password: a head without an end would be collected without an end, and a
connection on which nothing comes, or one byte a minute, would stay for ever.
"""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MAXIMUM_HEAD_BYTES = 64 * 1024
"""Request line and headers. Orthanc's own server takes 16 KB."""

HEAD_SECONDS = 30.0
"""From the first byte of a request, or from connecting, to the end of its head, as Orthanc's HttpRequestTimeout."""


class LimitedProtocol(HttpToolsProtocol):
    """One connection."""

    head_seconds = HEAD_SECONDS

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._head_bytes: int | None = None
        """Received of a head that is not complete; None where no head is awaited."""
        self._head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first head (asyncio)."""
        super().connection_made(transport)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the timer (asyncio)."""
        self._head_is_here()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Count what belongs to a head, and close the connection when it is too much (asyncio)."""
        super().data_received(data)
        if self._head_bytes is not None:
            self._head_bytes += len(data)
            if self._head_bytes > MAXIMUM_HEAD_BYTES:
                self._head_is_here()
                self.send_400_response("The head of the request is too large.")

    def on_message_begin(self) -> None:
        """A request begins (httptools)."""
        super().on_message_begin()
        self._await_head()

    def on_headers_complete(self) -> None:
        """The head is complete (httptools)."""
        self._head_is_here()
        super().on_headers_complete()

    def _await_head(self) -> None:
        if self._head_timer is None:
            self._head_timer = self.loop.call_later(self.head_seconds, self._give_up)
        self._head_bytes = 0

    def _head_is_here(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None
        self._head_bytes = None

    def _give_up(self) -> None:
        self.transport.abort()
