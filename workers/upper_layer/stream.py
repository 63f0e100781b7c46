"""One transport connection as a stream of PDUs.

The socket blocks, with a receive timeout in the kernel (SO_RCVTIMEO) as the tick on which a waiting thread looks at
deadlines and at wishes to interrupt it: Python's own socket timeouts cost one poll() per receive. TLS (`tls`) has no
choice but to use those.

TCP_QUICKACK is re-armed before each receive: a sender that leaves Nagle's algorithm on (DCMTK's default) sends the
last piece of an object only after everything before is acknowledged, and Linux would delay that by 40 ms.
"""

import contextlib
import socket
import ssl
import struct
import time
from collections.abc import Iterable

from workers.upper_layer import pdu
from workers.upper_layer.failures import (
    INVALID_PDU_PARAMETER,
    UNRECOGNIZED_PDU,
    ConnectionLost,
    Interrupted,
    ProtocolViolation,
    TimedOut,
)
from workers.upper_layer.tls import TlsConnection

MAXIMUM_ASSOCIATE_BYTES = 1024 * 1024
"""A request with 128 presentation contexts and 40 transfer syntaxes each has about 300 KB."""

_QUICKACK: int | None = getattr(socket, "TCP_QUICKACK", None)
_TICK_SECONDS = 0.5
_FAREWELL_SECONDS = 1.0
_PIECES_PER_WRITE = 512
_HEADER = struct.Struct(">BxI")


def _timeval(seconds: float) -> bytes:
    return struct.pack("ll", int(seconds), int(seconds % 1 * 1_000_000))


class PduStream:
    """Reads PDUs into one reusable buffer and writes pieces of PDUs; belongs to one thread.

    `patience_seconds` bounds the wait for each PDU (0 = for ever), `maximum_length` is the P-DATA-TF length that this
    side announces. Other threads may set `interrupt_when_idle` (stop waiting where no message is under way) and
    `interrupt_now` (stop at the next PDU); a thread that waits looks every half second.
    """

    def __init__(
        self,
        connection: socket.socket,
        *,
        maximum_length: int,
        patience_seconds: float,
        tls: ssl.SSLContext | None = None,
        server_name: str | None = None,
    ) -> None:
        """With `tls`, `handshake` has to come first; `server_name` makes this side the client of it."""
        self.patience_seconds = patience_seconds
        self.interrupt_when_idle = False
        self.interrupt_now = False
        self._limits = {
            pdu.A_ASSOCIATE_RQ: (1, MAXIMUM_ASSOCIATE_BYTES),
            pdu.A_ASSOCIATE_AC: (1, MAXIMUM_ASSOCIATE_BYTES),
            pdu.A_ASSOCIATE_RJ: (4, 4),
            pdu.P_DATA_TF: (pdu.VALUE_HEADER_BYTES, maximum_length),
            pdu.A_RELEASE_RQ: (4, 4),
            pdu.A_RELEASE_RP: (4, 4),
            pdu.A_ABORT: (4, 4),
        }
        # Room for a whole PDU and the beginning of the next ones.
        self._capacity = 2 * (maximum_length + pdu.HEADER_BYTES)
        self._view = memoryview(bytearray(self._capacity))
        self._start = 0
        self._end = 0
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self._socket: socket.socket | TlsConnection = connection
        if tls is None:
            connection.setblocking(True)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _timeval(_TICK_SECONDS))
        else:
            self._socket = TlsConnection(
                connection, tls, tick_seconds=_TICK_SECONDS, server_side=server_name is None, server_name=server_name
            )
        self._set_send_patience(patience_seconds)

    def handshake(self, seconds: float) -> None:
        """Where the connection has TLS: shake hands within `seconds`; raises ConnectionLost or TimedOut."""
        if isinstance(self._socket, TlsConnection):
            self._socket.handshake(seconds, lambda: self.interrupt_now or self.interrupt_when_idle)

    def _set_send_patience(self, seconds: float) -> None:
        if isinstance(self._socket, TlsConnection):
            self._socket.set_send_patience(seconds)
        else:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _timeval(seconds))

    def read(self, *, idle: bool = False) -> tuple[int, memoryview]:
        """Return type and body of the next PDU; the body is valid until the next call.

        `idle` says that no message is under way, so that `interrupt_when_idle` applies.

        Raises ConnectionLost, TimedOut, Interrupted, or ProtocolViolation for an unknown type or an impossible length.
        """
        if self.interrupt_now:
            raise Interrupted("this node ends the association")
        deadline = time.monotonic() + self.patience_seconds if self.patience_seconds else None
        self._fill(pdu.HEADER_BYTES, deadline, idle)
        pdu_type, length = _HEADER.unpack_from(self._view, self._start)
        smallest, largest = self._limits.get(pdu_type, (0, -1))
        if largest < 0:
            raise ProtocolViolation(UNRECOGNIZED_PDU, f"unknown PDU type 0x{pdu_type:02X}")
        if not smallest <= length <= largest:
            raise ProtocolViolation(INVALID_PDU_PARAMETER, f"PDU of type {pdu_type} with a length of {length}")
        self._fill(pdu.HEADER_BYTES + length, deadline, idle=False)
        body = self._start + pdu.HEADER_BYTES
        self._start = body + length
        return pdu_type, self._view[body : self._start]

    def _fill(self, needed: int, deadline: float | None, idle: bool) -> None:
        """Receive until `needed` bytes are buffered from `_start` on."""
        if self._start == self._end:
            self._start = self._end = 0
            if len(self._view) > self._capacity:
                self._view = memoryview(bytearray(self._capacity))
        if self._start + needed > len(self._view):
            self._make_room(needed)
        while self._end - self._start < needed:
            if _QUICKACK is not None:
                with contextlib.suppress(OSError):
                    self._socket.setsockopt(socket.IPPROTO_TCP, _QUICKACK, 1)
            try:
                received = self._socket.recv_into(self._view[self._end :])
            except BlockingIOError:
                self._check_patience(deadline, idle)
                continue
            except OSError as error:
                raise ConnectionLost(f"connection lost: {error.strerror or error}") from error
            if not received:
                partial = " in the middle of a PDU" if self._end > self._start else ""
                raise ConnectionLost("the peer closed the connection" + partial)
            self._end += received
            if self._end - self._start < needed:
                self._check_patience(deadline, idle)

    def _make_room(self, needed: int) -> None:
        # Only an A-ASSOCIATE PDU can be larger than the buffer.
        source = self._view[self._start : self._end]
        if needed > len(self._view):
            self._view = memoryview(bytearray(needed))
        self._view[: len(source)] = source
        self._start, self._end = 0, len(source)

    def _check_patience(self, deadline: float | None, idle: bool) -> None:
        """Raise Interrupted or TimedOut if there is a reason to wait no longer."""
        nothing_begun = idle and self._end == self._start
        if self.interrupt_now or (self.interrupt_when_idle and nothing_begun):
            raise Interrupted("this node ends the association")
        if deadline is not None and time.monotonic() > deadline:
            where = "between two messages" if nothing_begun else "in the middle of a message"
            raise TimedOut(f"nothing received for {self.patience_seconds:g} s {where}")

    def send(self, pieces: Iterable[bytes | memoryview]) -> None:
        """Send `pieces` one after the other, in as few system calls as possible.

        Raises ConnectionLost, or TimedOut if the peer takes nothing for `patience_seconds`.
        """
        waiting = [memoryview(piece) for piece in pieces]
        try:
            while waiting:
                sent = self._socket.sendmsg(waiting[:_PIECES_PER_WRITE])
                done = 0
                while done < len(waiting) and sent >= len(waiting[done]):
                    sent -= len(waiting[done])
                    done += 1
                del waiting[:done]
                if sent:
                    waiting[0] = waiting[0][sent:]
        except BlockingIOError as error:
            raise TimedOut(f"the peer takes no data for {self.patience_seconds:g} s") from error
        except OSError as error:
            raise ConnectionLost(f"connection lost: {error.strerror or error}") from error

    def close(self, farewell: bytes = b"") -> None:
        """Send `farewell` if possible, wait briefly for the peer to close, and close.

        Closing at once while unread data waits would make TCP reset the connection and the peer lose the farewell.
        """
        with contextlib.suppress(OSError):
            if farewell:
                self._set_send_patience(_FAREWELL_SECONDS)
                self._socket.sendall(farewell)
                self._socket.shutdown(socket.SHUT_WR)
                deadline = time.monotonic() + _FAREWELL_SECONDS
                while time.monotonic() < deadline and not self.interrupt_now:
                    with contextlib.suppress(BlockingIOError):
                        if not self._socket.recv_into(self._view):
                            break
        self._socket.close()

    def disconnect(self) -> None:
        """Cut the connection from another thread: a blocked read or send of the owner ends with ConnectionLost."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
