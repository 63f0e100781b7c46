"""A TCP proxy that makes the way to the database longer: an event loop in a process of its own.

Half of the round trip is added in each direction, to every piece of data, however many are under way; the establishing
of a connection is not delayed. Its timeouts are those of `select`, good to 0.1 ms where those of epoll are whole
milliseconds.
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
    """One direction of one connection."""

    __slots__ = ("backlog", "has_ended", "is_blocked", "source", "target", "waiting")

    def __init__(self, source: socket.socket, target: socket.socket) -> None:
        self.source = source
        self.target = target
        self.waiting = 0  # pieces whose time has not come
        self.backlog: deque[memoryview] = deque()  # pieces whose time has come and that found no room
        self.is_blocked = False
        self.has_ended = False  # nothing more will come from the source

    def send(self, piece: memoryview) -> bool:
        """Send what is due, in order; False when the connection has ended, which an empty piece says."""
        self.backlog.append(piece)
        return self.send_backlog()

    def send_backlog(self) -> bool:
        """The same for what found no room before."""
        while self.backlog:
            piece = self.backlog[0]
            if not piece:
                return False
            try:
                sent = self.target.send(piece)
            except BlockingIOError:
                return True
            except OSError:
                return False
            if sent < len(piece):
                self.backlog[0] = piece[sent:]
            else:
                self.backlog.popleft()
        return True


class _Loop:
    """Everything happens in `run`."""

    def __init__(self, pipe: Connection, target: tuple[str, int]) -> None:
        self._pipe = pipe
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._lanes: dict[int, _Lane] = {}  # by the descriptor of the source
        self._lanes_to: dict[int, _Lane] = {}  # by that of the target
        self._later: deque[tuple[float, _Lane, memoryview]] = deque()  # in the order of their coming
        self._delay_seconds = 0.0
        self._messages = 0
        self._cpu_seconds = time.process_time()
        self._epoll = select.epoll()
        for descriptor in (pipe.fileno(), self._listener.fileno()):
            self._epoll.register(descriptor, select.EPOLLIN)
        pipe.send(self._listener.getsockname()[1])

    def run(self) -> None:
        """Forward until the other end of the pipe is closed."""
        while True:
            if self._later:
                select.select([self._epoll], [], [], max(0.0, self._later[0][0] - time.monotonic()))
            for descriptor, event in self._epoll.poll(0 if self._later else None):
                if descriptor == self._pipe.fileno():
                    if not self._obey():
                        return
                elif descriptor == self._listener.fileno():
                    self._accept()
                else:
                    self._serve(descriptor, event)
            self._send_what_is_due()

    def _serve(self, descriptor: int, event: int) -> None:
        lane = self._lanes_to.get(descriptor)
        if event & select.EPOLLOUT and lane is not None:
            self._watch(lane, lane.send_backlog())
        lane = self._lanes.get(descriptor)
        if event & ~select.EPOLLOUT and lane is not None and not lane.has_ended:
            self._receive(lane)

    def _send_what_is_due(self) -> None:
        now = time.monotonic()
        while self._later and self._later[0][0] <= now:
            _, lane, piece = self._later.popleft()
            lane.waiting -= 1
            if lane.source.fileno() in self._lanes:
                self._watch(lane, lane.send(piece))

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
        for source, target in ((client, server), (server, client)):
            source.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            source.setblocking(False)
            lane = _Lane(source, target)
            self._lanes[source.fileno()] = self._lanes_to[target.fileno()] = lane
            self._epoll.register(source.fileno(), select.EPOLLIN)

    def _receive(self, lane: _Lane) -> None:
        try:
            data = lane.source.recv(_PIECE_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        self._messages += 1
        if not data:
            # The connection is closed once what is on its way has been delivered.
            lane.has_ended = True
            self._epoll.modify(lane.source.fileno(), 0)
        if self._delay_seconds or lane.waiting:
            lane.waiting += 1
            self._later.append((time.monotonic() + self._delay_seconds, lane, memoryview(data)))
        else:
            self._watch(lane, lane.send(memoryview(data)))

    def _watch(self, lane: _Lane, is_open: bool) -> None:
        """After a send: close what has ended, and ask to be told when there is room again where there was none."""
        if not is_open:
            for end in (lane.source, lane.target):
                self._lanes.pop(end.fileno(), None)
                self._lanes_to.pop(end.fileno(), None)
                end.close()
        elif bool(lane.backlog) != lane.is_blocked:
            lane.is_blocked = not lane.is_blocked
            self._epoll.modify(lane.target.fileno(), select.EPOLLIN | (select.EPOLLOUT if lane.is_blocked else 0))


def _main(pipe: Connection, host: str, port: int) -> None:
    _Loop(pipe, (host, port)).run()
