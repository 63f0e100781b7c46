"""TCP links that can be broken in the ways in which networks break them.

One thread with an event loop carries all links of a run, so that a cluster with a link in front of each of its doors
costs one thread.
"""

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any, Self, TypeVar

_PIECE = 65536
_T = TypeVar("_T")


class Wire:
    """Forwards `port` on loopback to `target_port`. Methods may be called from any thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop, target_port: int) -> None:
        self._loop = loop
        self._target_port = target_port
        self._writers: set[asyncio.StreamWriter] = set()
        self._towards_server: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None
        self._flows = asyncio.Event()
        self._delay_seconds = 0.0
        self._bytes_per_second = 0.0
        self.port = 0

    async def open(self) -> None:
        """Listen; `port` is known afterwards."""
        self._flows.set()
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Listen no longer, and reset what is open."""
        if self._server is not None:
            self._server.close()
        self._abort()

    def cut(self) -> None:
        """Reset every connection, at both ends."""
        self._loop.call_soon_threadsafe(self._abort)

    def half_close(self) -> None:
        """Tell the servers that their clients have finished sending, while the clients go on waiting."""
        self._loop.call_soon_threadsafe(self._end_towards_server)

    def silence(self, silent: bool) -> None:
        """Hold back everything, in both directions and on new connections too, or let it flow again."""
        self._loop.call_soon_threadsafe(self._flows.clear if silent else self._flows.set)

    def delay(self, seconds: float) -> None:
        """Let each piece wait that long from now on; 0 ends it."""
        self._delay_seconds = seconds

    def throttle(self, bytes_per_second: float) -> None:
        """Let each direction of each connection carry no more from now on; 0 ends it."""
        self._bytes_per_second = bytes_per_second

    def heal(self) -> None:
        """No delay, no throttle, no silence."""
        self.delay(0)
        self.throttle(0)
        self.silence(False)

    def _abort(self) -> None:
        for writer in list(self._writers):
            writer.transport.abort()

    def _end_towards_server(self) -> None:
        for writer in list(self._towards_server):
            if writer.can_write_eof() and not writer.is_closing():
                writer.write_eof()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._flows.wait()
        try:
            server_reader, server_writer = await asyncio.open_connection("127.0.0.1", self._target_port)
        except OSError:
            writer.transport.abort()
            return
        self._writers |= {writer, server_writer}
        self._towards_server.add(server_writer)
        try:
            # The end of one direction leaves the other open; a failure of either ends both.
            await asyncio.gather(self._pump(reader, server_writer), self._pump(server_reader, writer))
        except (OSError, RuntimeError):
            pass
        finally:
            self._writers -= {writer, server_writer}
            self._towards_server.discard(server_writer)
            writer.transport.abort()
            server_writer.transport.abort()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(_PIECE):
            if self._delay_seconds or self._bytes_per_second:
                per_piece = len(data) / self._bytes_per_second if self._bytes_per_second else 0.0
                await asyncio.sleep(self._delay_seconds + per_piece)
            await self._flows.wait()
            writer.write(data)
            await writer.drain()
        if not writer.is_closing():
            writer.write_eof()


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

    def wire(self, target_port: int) -> Wire:
        """A new link to a server on loopback, which need not listen yet."""
        made = Wire(self._loop, target_port)
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
