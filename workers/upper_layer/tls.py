"""A TLS connection with the manners of a blocking socket that has a receive timeout in the kernel (see `stream`).

On a socket that blocks, Python's SSL layer waits on through SO_RCVTIMEO, and a thread would never look at its deadline.
It gets a Python timeout instead, which costs a poll() only where nothing has come yet.
"""

import contextlib
import socket
import ssl
import time
from collections.abc import Callable, Sequence

from workers.upper_layer.failures import ConnectionLost, TimedOut

_FAREWELL_SECONDS = 1.0


class TlsConnection:
    """What `PduStream` needs of a socket, over TLS; `handshake` comes before anything else."""

    def __init__(
        self,
        connection: socket.socket,
        context: ssl.SSLContext,
        *,
        tick_seconds: float,
        server_side: bool,
        server_name: str | None = None,
    ) -> None:
        """Take over `connection`; sends and receives nothing."""
        connection.setblocking(True)
        self._socket = context.wrap_socket(
            connection, server_side=server_side, do_handshake_on_connect=False, server_hostname=server_name
        )
        self._tick_seconds = tick_seconds
        self._send_seconds: float | None = None
        self._socket.settimeout(tick_seconds)

    def handshake(self, seconds: float, interrupted: Callable[[], bool]) -> None:
        """Shake hands within `seconds`, in all and not per message; raises ConnectionLost or TimedOut.

        `interrupted` is asked on every tick whether to give up.
        """
        deadline = time.monotonic() + seconds
        while True:
            try:
                self._socket.do_handshake()
                return
            except TimeoutError as error:
                if error.errno is not None or interrupted():
                    raise ConnectionLost("connection lost in the TLS handshake") from error
                if time.monotonic() > deadline:
                    raise TimedOut(f"no TLS handshake within {seconds:g} s") from error
            except OSError as error:
                raise ConnectionLost(f"TLS handshake failed: {reason(error)}") from error

    def recv_into(self, view: memoryview) -> int:
        """Receive; raises BlockingIOError on a tick, OSError if the connection is lost."""
        try:
            return self._socket.recv_into(view)
        except TimeoutError as error:
            if error.errno is not None:
                raise
            raise BlockingIOError from error

    def sendmsg(self, pieces: Sequence[bytes | memoryview]) -> int:
        """Send `pieces` whole and return their size; raises BlockingIOError if the peer takes nothing for too long."""
        # One record, and one piece on the wire, for what is small: header and response.
        joined = pieces if sum(map(len, pieces)) > 1 << 18 else (b"".join(pieces),)
        self._socket.settimeout(self._send_seconds)
        try:
            for piece in joined:
                self._socket.sendall(piece)
        except TimeoutError as error:
            raise BlockingIOError from error
        finally:
            self._socket.settimeout(self._tick_seconds)
        return sum(map(len, joined))

    def sendall(self, data: bytes) -> None:
        """Send `data`, as for `sendmsg`."""
        self.sendmsg((data,))

    def set_send_patience(self, seconds: float) -> None:
        """How long a send may wait; 0 = for ever."""
        self._send_seconds = seconds or None

    def shutdown(self, how: int) -> None:
        """End the sending side with TLS's own close, or cut the connection for SHUT_RDWR."""
        if how == socket.SHUT_WR:
            self._socket.settimeout(_FAREWELL_SECONDS)
            with contextlib.suppress(OSError, ValueError):
                self._socket.unwrap()
        # Not SSLSocket.shutdown, which would let the owner's next receive read ciphertext.
        socket.socket.shutdown(self._socket, how)

    def setsockopt(self, level: int, option: int, value: int | bytes) -> None:
        """As of a socket."""
        self._socket.setsockopt(level, option, value)

    def close(self) -> None:
        """As of a socket."""
        self._socket.close()


def reason(error: OSError) -> str:
    """What went wrong, fit for a log line."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"certificate refused, {error.verify_message}"
    if isinstance(error, ssl.SSLError) and error.reason:
        return error.reason.replace("_", " ").lower()
    return error.strerror or "the peer closed the connection"
