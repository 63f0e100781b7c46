"""A TCP proxy that breaks the wire on purpose."""

import ctypes
import socket
import struct
import threading
from collections import deque
from contextlib import suppress
from dataclasses import dataclass

_SO_ATTACH_FILTER, _SO_DETACH_FILTER = 26, 27  # not in Python's socket module
_DROP_ALL = struct.pack("=HBBI", 0x06, 0, 0, 0)
"""The program `return 0` for the kernel's packet filter (https://docs.kernel.org/networking/filter.html)."""


def _hear_nothing(listener: socket.socket) -> None:
    """From now on the kernel throws away, without a word and without an acknowledgement, what comes for this socket."""
    program = ctypes.create_string_buffer(_DROP_ALL, len(_DROP_ALL))
    # struct sock_fprog: the number of instructions, and where they are
    listener.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("@HP", 1, ctypes.addressof(program)))


def may_go_dark() -> bool:
    """Whether the kernel lets this user attach packet filters: some keep them for root."""
    with socket.socket() as probe:
        try:
            _hear_nothing(probe)
        except PermissionError:
            return False
    return True


@dataclass(frozen=True)
class _Fault:
    """What happens to a client that has sent `request`, and before it, in one piece, all of `once_sent`."""

    request: bytes
    once_sent: tuple[bytes, ...]
    arrives: bool


class _Wire:
    """One client, and the connection to the server that is its own."""

    def __init__(self, client: socket.socket, server: socket.socket) -> None:
        self.client = client
        self.server = server
        self.answer_is_lost = False
        self.is_severed = False
        self.swallows = False
        self._announced: _Fault | None = None

    def meets(self, fault: _Fault, data: bytes) -> bool:
        """Whether the client sends what the fault is about, now that it sends `data`."""
        if fault.request in data and (not fault.once_sent or self._announced is fault):
            return True
        if all(piece in data for piece in fault.once_sent):
            self._announced = fault
        return False

    def close(self, *, server_too: bool = True) -> None:
        for end in (self.client, self.server) if server_too else (self.client,):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()


class Proxy:
    """Forwards one port to another until told otherwise. Context manager."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = self._server.getsockname()[1]
        self._wires: list[_Wire] = []
        self._lock = threading.Lock()
        self._faults: deque[_Fault] = deque()
        self.swallowed = threading.Event()
        self.connections = 0
        self._refusing = False

    def __enter__(self) -> "Proxy":
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.close()
        self.cut()

    def cut(self) -> None:
        """Close every connection at once, those too of which `sever` has left the server's end."""
        for wire in self._taken():
            wire.close()

    def sever(self) -> None:
        """Close the clients' ends; the server notices nothing, as where a firewall has forgotten its connections."""
        wires = self._taken()
        for wire in wires:
            wire.is_severed = True
            wire.close(server_too=False)
        with self._lock:
            self._wires += wires

    def go_dark(self, *, new_ones_too: bool = False) -> None:
        """A black hole, as a firewall that drops: packets of existing connections are not even acknowledged."""
        with self._lock:
            for wire in self._wires:
                _hear_nothing(wire.client)
                _hear_nothing(wire.server)
        if new_ones_too:
            _hear_nothing(self._server)

    def see_light(self) -> None:
        """New connections work again after `go_dark`; those that were there stay lost."""
        with suppress(OSError):
            self._server.setsockopt(socket.SOL_SOCKET, _SO_DETACH_FILTER, 0)

    def swallow(self) -> None:
        """A black hole with a kernel: what comes on existing connections is acknowledged and thrown away."""
        with self._lock:
            for wire in self._wires:
                wire.swallows = True

    def refuse(self, refusing: bool = True) -> None:
        """Close new connections at once (an outage), or no longer."""
        self._refusing = refusing

    def swallow_answer_after(self, request: bytes, *, once_sent: tuple[bytes, ...] = ()) -> None:
        """Once a client has sent `request`, pass it on, throw the answer away, and close.

        Faults that are asked for one after the other happen one after the other, each once.

        Args:
            once_sent: only to a client that has sent all of these before, in one piece.
        """
        self.swallowed.clear()
        self._add(_Fault(request, once_sent, arrives=True))

    def lose(self, request: bytes, *, once_sent: tuple[bytes, ...] = ()) -> None:
        """Once a client has sent `request`, close, and do not pass it on; otherwise as `swallow_answer_after`."""
        self._add(_Fault(request, once_sent, arrives=False))

    @property
    def faults_left(self) -> int:
        """How many have not happened yet."""
        return len(self._faults)

    def _add(self, fault: _Fault) -> None:
        with self._lock:
            self._faults.append(fault)

    def _taken(self) -> list[_Wire]:
        with self._lock:
            wires, self._wires = self._wires, []
        return wires

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._server.accept()
            except OSError:
                return
            if self._refusing:
                client.close()
                continue
            self.connections += 1
            wire = _Wire(client, socket.create_connection(self._target))
            with self._lock:
                self._wires.append(wire)
            threading.Thread(target=self._to_server, args=(wire,), daemon=True).start()
            threading.Thread(target=self._to_client, args=(wire,), daemon=True).start()

    def _fault(self, wire: _Wire, data: bytes) -> _Fault | None:
        with self._lock:
            if self._faults and wire.meets(self._faults[0], data):
                return self._faults.popleft()
        return None

    def _to_server(self, wire: _Wire) -> None:
        with suppress(OSError):
            while data := wire.client.recv(65536):
                if wire.swallows:
                    continue
                fault = self._fault(wire, data)
                if fault is not None and not fault.arrives:
                    break
                # Before the request goes on: what comes from the server from here on is its answer.
                wire.answer_is_lost = wire.answer_is_lost or fault is not None
                wire.server.sendall(data)
        wire.close(server_too=not wire.is_severed)

    def _to_client(self, wire: _Wire) -> None:
        with suppress(OSError):
            while data := wire.server.recv(65536):
                if wire.swallows:
                    continue
                if wire.answer_is_lost:
                    self.swallowed.set()
                    break
                try:
                    wire.client.sendall(data)
                except OSError:
                    if not wire.is_severed:
                        break
        wire.close()
