"""The body of an upload, piece by piece, for a thread that blocks."""

import asyncio
import concurrent.futures
import zlib
from collections.abc import Iterable, Iterator

from starlette.requests import ClientDisconnect, Request
from starlette.types import Receive

from workers.http.errors import BAD_FILE_FORMAT, TIMEOUT, TOO_LARGE, Refusal

PIECE_BYTES = 1024 * 1024
"""What is held of a body at a time: large enough that a CT slice needs no second hop between loop and thread."""

PROGRESS_BYTES = 64 * 1024
PROGRESS_SECONDS = 60
"""So much of a body, or what is left of it, comes in this time, or its thread is needed elsewhere: a byte now and then
would keep one for ever, and there are few."""

# An image of one colour deflates 1000 to 1, so a ratio alone says nothing about small bodies.
GUNZIPPED_FREE_BYTES = 256 * 1024 * 1024
GUNZIPPED_RATIO = 100


class RequestBody:
    """Receives on the event loop on behalf of one thread."""

    def __init__(self, receive: Receive) -> None:
        """To be made on the event loop."""
        self._receive = receive
        self._loop = asyncio.get_running_loop()
        self._more = True

    async def next_piece(self) -> bytes:
        """At least PIECE_BYTES, or what is left; empty at the end.

        Raises:
            ClientDisconnect: the sender went away.
            Refusal: 408, the sender is silent, or as good as.
        """
        parts: list[bytes] = []
        size = progress = 0
        try:
            # One timer for all messages of a piece: `wait_for` would make a task for each.
            async with asyncio.timeout(PROGRESS_SECONDS) as timer:
                while self._more and size < PIECE_BYTES:
                    message = await self._receive()
                    if message["type"] == "http.disconnect":
                        raise ClientDisconnect
                    parts.append(message.get("body", b""))
                    size += len(parts[-1])
                    self._more = message.get("more_body", False)
                    if size - progress >= PROGRESS_BYTES:
                        progress = size
                        timer.reschedule(self._loop.time() + PROGRESS_SECONDS)
        except TimeoutError:
            needed = f"{PROGRESS_BYTES} bytes, or the rest, in {PROGRESS_SECONDS} seconds"
            raise Refusal(TIMEOUT, f"the body comes too slowly: {needed} are needed") from None
        return b"".join(parts)

    def pieces(self, first: bytes) -> Iterator[bytes]:
        """All pieces, for a thread other than the event loop's; `first` was received already."""
        piece = first
        while piece:
            yield piece
            piece = self._wait_for_next_piece() if self._more else b""

    def _wait_for_next_piece(self) -> bytes:
        if self._loop.is_closed():
            raise ClientDisconnect
        future = asyncio.run_coroutine_threadsafe(self.next_piece(), self._loop)
        while True:
            try:
                return future.result(timeout=5)
            except concurrent.futures.CancelledError:
                raise ClientDisconnect from None
            except TimeoutError:
                # The server may have gone without a last turn of the loop.
                if self._loop.is_closed():
                    raise ClientDisconnect from None


def refuse_if_announced(request: Request, maximum: int) -> None:
    """Raise Refusal (413) if the body, unread as yet, says that it is longer than `maximum` bytes."""
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > maximum:
        raise Refusal(TOO_LARGE, f"a body of at most {maximum} bytes is accepted (MaximumRequestBodySizeMB)")


def limited(pieces: Iterable[bytes], maximum: int) -> Iterator[bytes]:
    """The same pieces; raises Refusal (413) when they are more than `maximum` bytes."""
    size = 0
    for piece in pieces:
        size += len(piece)
        if size > maximum:
            raise Refusal(TOO_LARGE, f"a body of at most {maximum} bytes is accepted (MaximumRequestBodySizeMB)")
        yield piece


def gunzip(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Undo gzip (RFC 1952, several members allowed) in pieces of at most PIECE_BYTES.

    Raises:
        Refusal: 400, not gzip or truncated; 413, it inflates beyond what an image can explain.
    """
    inflate = zlib.decompressobj(wbits=31)
    taken = given = 0
    try:
        for piece in pieces:
            taken += len(piece)
            rest = piece
            while rest:
                if inflate.eof:
                    inflate = zlib.decompressobj(wbits=31)
                data = inflate.decompress(rest, PIECE_BYTES)
                rest = inflate.unconsumed_tail or inflate.unused_data
                given += len(data)
                if given > max(GUNZIPPED_FREE_BYTES, GUNZIPPED_RATIO * taken):
                    raise Refusal(TOO_LARGE, f"the body inflates to more than {given} bytes")
                if data:
                    yield data
        tail = inflate.flush()
    except zlib.error as error:
        raise Refusal(BAD_FILE_FORMAT, f"the body is not gzip: {error}") from error
    if tail:
        yield tail
    if not inflate.eof:
        raise Refusal(BAD_FILE_FORMAT, "the gzip body ends before it should")
