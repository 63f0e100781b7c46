"""A TCP proxy that makes the way to the database longer: an event loop in a process of its own.

Half of the round trip is added in each direction, to every piece of data, however many are under way; the establishing
of a connection is not delayed. It waits with `select`, whose timeouts are good to 0.1 ms where those of epoll are whole
milliseconds, and copies nothing: at 0 ms it costs the machine 0.02 ms a message.
"""

import multiprocessing
import select
import socket
import time
from collections import deque
from multiprocessing.connection import Connection
from types import TracebackType
from typing import NamedTuple, Self

_PIECE_BYTES = 1 << 18


class Work(NamedTuple):
    """What the proxy did since it was asked last."""

    messages: int
    cpu_seconds: float


class DelayProxy:
    """Forwards a port of its own to another one. Context manager; no delay at first."""

    def __init__(self, host: str, port: int) -> None:
        context = multiprocessing.get_context("forkserver")
        self._pipe, there = context.Pipe()
        self._process = context.Process(target=_main, args=(there, host, port), name="proxy", daemon=True)
        self._process.start()
        there.close()
        self.port: int = self._pipe.recv()

    def delay(self, round_trip_milliseconds: float) -> Work:
        """Change the delay of what comes from now on."""
        self._pipe.send(round_trip_milliseconds / 2000)
        work: Work = self._pipe.recv()
        return work

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pipe.close()
        self._process.join(5)
        self._process.kill()


class _Lane:
    """One direction of one connection: what was received and is not sent yet, in order."""

    __slots__ = ("has_ended", "pieces", "source", "target")

    def __init__(self, source: socket.socket, target: socket.socket) -> None:
        self.source = source
        self.target = target
        self.has_ended = False  # nothing more will come from the source
        self.pieces: deque[tuple[float, memoryview]] = deque()  # when to send; nothing stands for the end

    def deliver(self, now: float) -> bool:
        """Send what is due; False when the connection has ended."""
        while self.pieces and self.pieces[0][0] <= now:
            due, piece = self.pieces[0]
            if not piece:
                return False
            try:
                sent = self.target.send(piece)
            except BlockingIOError:
                return True
            except OSError:
                return False
            if sent < len(piece):
                self.pieces[0] = (due, piece[sent:])
            else:
                self.pieces.popleft()
        return True


class _Loop:
    """Everything happens in `run`."""

    def __init__(self, pipe: Connection, target: tuple[str, int]) -> None:
        self._pipe = pipe
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._lanes: dict[socket.socket, _Lane] = {}  # by source
        self._delay_seconds = 0.0
        self._messages = 0
        self._cpu_seconds = time.process_time()
        pipe.send(self._listener.getsockname()[1])

    def run(self) -> None:
        """Forward until the other end of the pipe is closed."""
        while True:
            now = time.monotonic()
            waiting = [lane for lane in self._lanes.values() if lane.pieces]
            # What is due and still there waits for room.
            blocked = [lane.target for lane in waiting if lane.pieces[0][0] <= now]
            next_due = min((lane.pieces[0][0] for lane in waiting if lane.pieces[0][0] > now), default=None)
            timeout = None if next_due is None else max(0.0, next_due - now)
            sources = [source for source, lane in self._lanes.items() if not lane.has_ended]
            awaited: list[socket.socket | Connection] = [self._pipe, self._listener, *sources]
            readable, _, _ = select.select(awaited, blocked, [], timeout)
            for source in readable:
                if source is self._pipe:
                    if not self._obey():
                        return
                elif source is self._listener:
                    self._accept()
                elif isinstance(source, socket.socket):
                    self._receive(self._lanes[source])
            now = time.monotonic()
            for lane in list(self._lanes.values()):
                if lane.pieces and not lane.deliver(now):
                    self._close(lane)

    def _obey(self) -> bool:
        try:
            self._delay_seconds = self._pipe.recv()
        except (EOFError, OSError):
            return False
        cpu_seconds = time.process_time()
        self._pipe.send(Work(self._messages, cpu_seconds - self._cpu_seconds))
        self._messages, self._cpu_seconds = 0, cpu_seconds
        return True

    def _accept(self) -> None:
        client, _ = self._listener.accept()
        try:
            server = socket.create_connection(self._target)
        except OSError:
            client.close()
            return
        for end in (client, server):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            end.setblocking(False)
        self._lanes[client] = _Lane(client, server)
        self._lanes[server] = _Lane(server, client)

    def _receive(self, lane: _Lane) -> None:
        try:
            data = lane.source.recv(_PIECE_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        self._messages += 1
        lane.pieces.append((time.monotonic() + self._delay_seconds, memoryview(data)))
        lane.has_ended = not data

    def _close(self, lane: _Lane) -> None:
        for end in (lane.source, lane.target):
            self._lanes.pop(end, None)
            end.close()


def _main(pipe: Connection, host: str, port: int) -> None:
    _Loop(pipe, (host, port)).run()
