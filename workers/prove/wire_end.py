"""One socket of a link that can be broken, and what becomes of each piece that arrives there."""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from workers.prove.wire import Wire

_HELD_PIECES = 16
"""How many pieces of one direction wait before no more are read."""


class End(asyncio.Protocol):
    """One socket of a link; what it receives, its peer sends."""

    def __init__(self, wire: "Wire", connect: Callable[["End"], Coroutine[Any, Any, None]] | None = None) -> None:
        self._wire = wire
        self._connect = connect
        self._transport: asyncio.Transport | None = None
        self._peer: End | None = None
        self._waiting: deque[bytes] = deque()
        self._work: asyncio.Task[None] | None = None
        self._has_ended = False
        self._is_passed_on = False
        self.towards_server = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._wire.ends.add(self)
        if self._connect is not None:
            # Nothing is read before there is somebody to send it to.
            self._transport.pause_reading()
            self._work = asyncio.ensure_future(self._connect(self))

    def join(self, server: "End") -> None:
        """This client and that server are one link from now on."""
        self._work = None
        self._peer, server._peer = server, self
        if self._transport is None or self._transport.is_closing():
            server.abort()
            return
        self._transport.resume_reading()
        # A server that speaks first may have done so already.
        server._go_on()

    def data_received(self, data: bytes) -> None:
        if self._work is None and self._peer is not None and self._wire.is_sound:
            self._send(data)
            return
        self._wire.held += 1
        self._waiting.append(data)
        if len(self._waiting) == _HELD_PIECES and self._transport is not None:
            self._transport.pause_reading()
        self._go_on()

    def _go_on(self) -> None:
        if self._work is None and self._peer is not None and self._waiting:
            self._work = asyncio.ensure_future(self._carry())

    def eof_received(self) -> bool:
        """The end of one direction leaves the other open."""
        self._has_ended = True
        if self._work is None:
            self._pass_end_on()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        self._wire.ends.discard(self)
        if self._work is not None:
            self._work.cancel()
        if self._peer is not None:
            self._peer.abort()

    def pause_writing(self) -> None:
        if self._peer is not None and self._peer._transport is not None:
            self._peer._transport.pause_reading()

    def resume_writing(self) -> None:
        if self._peer is not None and self._peer._transport is not None and not self._peer._waiting:
            self._peer._transport.resume_reading()

    def abort(self) -> None:
        """Reset it; its peer follows."""
        if self._transport is not None:
            self._transport.abort()

    def write_eof(self) -> bool:
        """Whether there was anything to be ended."""
        if self._transport is None or self._transport.is_closing() or not self._transport.can_write_eof():
            return False
        try:
            self._transport.write_eof()
        except OSError:  # reset from outside, which the loop has not seen yet
            self.abort()
            return False
        return True

    def _send(self, data: bytes) -> None:
        peer = self._peer._transport if self._peer is not None else None
        if peer is not None and not peer.is_closing():
            try:
                peer.write(data)
            except RuntimeError:  # half closed from here
                self.abort()

    async def _carry(self) -> None:
        """Send what waits, each piece when the wire lets it."""
        wire = self._wire
        while self._waiting:
            data = self._waiting[0]
            per_piece = len(data) / wire.bytes_per_second if wire.bytes_per_second else 0.0
            if wire.delay_seconds or per_piece:
                await asyncio.sleep(wire.delay_seconds + per_piece)
            await wire.flows.wait()
            self._waiting.popleft()
            self._send(data)
        self._work = None
        if self._has_ended:
            self._pass_end_on()
        elif self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def _pass_end_on(self) -> None:
        """To the peer; when both directions have ended, so has the link."""
        peer = self._peer
        if peer is None or self._is_passed_on:
            return
        self._is_passed_on = True
        peer.write_eof()
        if peer._is_passed_on:
            for end in (self, peer):
                if end._transport is not None:
                    end._transport.close()
