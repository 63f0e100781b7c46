"""A link that breaks in the ways in which networks do."""

import asyncio
import contextlib
import socket
import struct
import threading
import time
from collections.abc import Iterator

import pytest

from workers.prove.wire import Wire, Wires
from workers.prove.wire_end import End


@pytest.fixture
def wire() -> Iterator[Wire]:
    """A link to a server that answers what it is sent."""
    with socket.create_server(("127.0.0.1", 0)) as server, Wires() as wires:
        threading.Thread(target=_serve, args=(server,), daemon=True).start()
        yield wires.wire(server.getsockname()[1])


def _serve(server: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while True:
            connection, _ = server.accept()
            threading.Thread(target=_echo, args=(connection,), daemon=True).start()


def _echo(connection: socket.socket) -> None:
    with connection, contextlib.suppress(OSError):
        while data := connection.recv(65536):
            connection.sendall(data)
        connection.sendall(b"end")


def _connect(wire: Wire) -> socket.socket:
    return socket.create_connection(("127.0.0.1", wire.port), timeout=10)


def _ask(client: socket.socket, data: bytes) -> bytes:
    client.sendall(data)
    answer = b""
    while len(answer) < len(data):
        answer += client.recv(65536)
    return answer


def test_everything_goes_through(wire: Wire) -> None:
    with _connect(wire) as client:
        assert _ask(client, b"x" * 200_000) == b"x" * 200_000
        client.shutdown(socket.SHUT_WR)
        assert client.recv(10) == b"end"


def test_cut(wire: Wire) -> None:
    with _connect(wire) as client:
        _ask(client, b"before")
        wire.cut()
        with contextlib.suppress(ConnectionResetError):
            assert client.recv(10) == b""


def test_half_close(wire: Wire) -> None:
    with _connect(wire) as client:
        _ask(client, b"before")
        wire.half_close()
        assert client.recv(10) == b"end"


def test_silence(wire: Wire) -> None:
    with _connect(wire) as client:
        _ask(client, b"before")
        wire.silence(True)
        client.settimeout(0.2)
        client.sendall(b"after")
        with pytest.raises(TimeoutError):
            client.recv(10)
        wire.heal()
        client.settimeout(10)
        assert client.recv(10) == b"after"


@pytest.mark.parametrize("slow", [lambda wire: wire.delay(0.1), lambda wire: wire.throttle(50)])
def test_slow(wire: Wire, slow: object) -> None:
    with _connect(wire) as client:
        _ask(client, b"before")
        slow(wire)  # type: ignore[operator]
        began = time.monotonic()
        _ask(client, b"after")
        assert time.monotonic() - began >= 0.19
        wire.heal()


def test_a_server_that_is_not_there(wire: Wire) -> None:
    with Wires() as wires, socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
        free.close()
        with _connect(wires.wire(port)) as client, contextlib.suppress(ConnectionResetError):
            assert client.recv(10) == b""


def test_an_end_that_was_reset_before_it_is_passed_on(wire: Wire) -> None:
    async def half_close() -> tuple[bool, bool]:
        with socket.create_server(("127.0.0.1", 0)) as server:
            transport, end = await asyncio.get_running_loop().create_connection(
                lambda: End(wire), *server.getsockname()
            )
            transport.pause_reading()  # as while something is held up: the loop does not see the reset
            far, _ = server.accept()
            far.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            far.close()
            return end.write_eof(), transport.is_closing()

    assert asyncio.run(half_close()) == (False, True)
