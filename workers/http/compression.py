"""Answers in JSON are sent with gzip to whoever takes it (option HttpCompressionEnabled; RFC 9110, section 8.4)."""

import asyncio
import re
import zlib

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MINIMUM_BYTES = 1024
"""Less fits into a packet anyway."""

LEVEL = 4
"""Of zlib: JSON gets 10 to 20 times smaller, at some 100 MB/s."""

_LOOP_BYTES = 64 * 1024
"""What is compressed on the event loop; more would keep other requests waiting."""

_REFUSED = re.compile(r";\s*q=0(?:\.0*)?\s*$")


class JsonCompression:
    """ASGI middleware. Files, images and archives pass as they are: they are compressed, or large and of no gain."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request (ASGI)."""
        if _takes_gzip(Headers(scope=scope).get("accept-encoding", "")):
            send = _Compressing(send).send
        await self._app(scope, receive, send)


def _takes_gzip(accepted: str) -> bool:
    for coding in accepted.lower().split(","):
        name = coding.split(";")[0].strip()
        if name in ("gzip", "x-gzip", "*"):
            return not _REFUSED.search(coding)
    return False


class _Compressing:
    """The way of one answer: its beginning waits for the first piece of the body, which says whether it is worth it."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._start: Message | None = None
        self._gzip: zlib._Compress | None = None

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._start = message
        elif message["type"] == "http.response.body":
            await self._send_body(message)
        else:
            await self._send(message)

    async def _send_body(self, message: Message) -> None:
        body, is_more = message.get("body", b""), message.get("more_body", False)
        if self._start is not None:
            if is_more and not body:
                return
            self._begin(self._start, is_more or len(body) >= MINIMUM_BYTES)
            if self._gzip is not None:
                body = await self._compressed(body, is_more)
                if not is_more:
                    MutableHeaders(scope=self._start)["Content-Length"] = str(len(body))
            start, self._start = self._start, None
            await self._send(start)
        elif self._gzip is not None:
            body = await self._compressed(body, is_more)
        await self._send({**message, "body": body})

    def _begin(self, start: Message, is_worth_it: bool) -> None:
        headers = MutableHeaders(scope=start)
        if not headers.get("content-type", "").startswith("application/json") or "content-encoding" in headers:
            return
        headers.add_vary_header("Accept-Encoding")
        if is_worth_it:
            headers["Content-Encoding"] = "gzip"
            del headers["Content-Length"]
            self._gzip = zlib.compressobj(LEVEL, zlib.DEFLATED, wbits=31)

    async def _compressed(self, body: bytes, is_more: bool) -> bytes:
        gzip = self._gzip
        assert gzip is not None

        def compress() -> bytes:
            # Each piece can be read when it comes.
            return gzip.compress(body) + gzip.flush(zlib.Z_SYNC_FLUSH if is_more else zlib.Z_FINISH)

        return compress() if len(body) <= _LOOP_BYTES else await asyncio.to_thread(compress)
