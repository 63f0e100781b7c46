"""TCP links that can be broken in the ways in which networks break them.

One thread with an event loop carries all links of a run, so that a cluster with a link in front of each of its doors
costs one thread. Where nothing is broken a piece goes from one socket to the other without waiting for anything.
"""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, Self, TypeVar

from workers.prove.wire_end import End

_T = TypeVar("_T")

Target = int | Path
"""A port on loopback, or a Unix socket."""


class Wire:
    """Forwards `port` on loopback to `target`. Methods may be called from any thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop, target: Target) -> None:
        self._loop = loop
        self._target = target
        self._server: asyncio.Server | None = None
        self.ends: set[End] = set()
        self.flows = asyncio.Event()
        self.delay_seconds = 0.0
        self.bytes_per_second = 0.0
        self.held = 0
        """Pieces and connections so far that had to wait."""
        self.port = 0

    @property
    def is_sound(self) -> bool:
        """Whether nothing has to wait."""
        return self.flows.is_set() and not self.delay_seconds and not self.bytes_per_second

    @property
    def is_used(self) -> bool:
        """Whether there is a connection."""
        return bool(self.ends)

    async def open(self) -> None:
        """Listen; `port` is known afterwards."""
        self.flows.set()
        self._server = await self._loop.create_server(lambda: End(self, self.connect), "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Listen no longer, and reset what is open."""
        if self._server is not None:
            self._server.close()
        self._abort()

    async def connect(self, client: "End") -> None:
        """Give a client its server."""
        if not self.flows.is_set():
            self.held += 1
            await self.flows.wait()

        def make() -> End:
            return End(self)

        try:
            if isinstance(self._target, Path):
                _, server = await self._loop.create_unix_connection(make, str(self._target))
            else:
                _, server = await self._loop.create_connection(make, "127.0.0.1", self._target)
        except OSError:
            client.abort()
            return
        server.towards_server = True
        client.join(server)

    def cut(self) -> int:
        """Reset every connection, at both ends; how many ends there were."""
        return self._in_loop(self._abort)

    def half_close(self) -> int:
        """Tell the servers that their clients have finished sending, while the clients go on waiting; how many."""
        return self._in_loop(self._end_towards_server)

    def silence(self, silent: bool) -> None:
        """Hold back everything, in both directions and on new connections too, or let it flow again."""
        self._loop.call_soon_threadsafe(self.flows.clear if silent else self.flows.set)

    def delay(self, seconds: float) -> None:
        """Let each piece wait that long from now on; 0 ends it."""
        self.delay_seconds = seconds

    def throttle(self, bytes_per_second: float) -> None:
        """Let each direction of each connection carry no more from now on; 0 ends it."""
        self.bytes_per_second = bytes_per_second

    def heal(self) -> None:
        """No delay, no throttle, no silence."""
        self.delay(0)
        self.throttle(0)
        self.silence(False)

    def _in_loop(self, work: Callable[[], int]) -> int:
        async def do() -> int:
            return work()

        return asyncio.run_coroutine_threadsafe(do(), self._loop).result()

    def _abort(self) -> int:
        ends = list(self.ends)
        for end in ends:
            end.abort()
        return len(ends)

    def _end_towards_server(self) -> int:
        return sum(end.write_eof() for end in list(self.ends) if end.towards_server)


class Wires:
    """The loop that carries them. Context manager."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._wires: list[Wire] = []
        self._thread = threading.Thread(target=self._loop.run_forever, name="wires", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._run(self._close_all())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def wire(self, target: Target) -> Wire:
        """A new link to a server on loopback, which need not listen yet."""
        made = Wire(self._loop, target)
        self._run(made.open())
        self._wires.append(made)
        return made

    def _run(self, work: Coroutine[Any, Any, _T]) -> _T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    async def _close_all(self) -> None:
        for wire in self._wires:
            await wire.close()
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
