"""Many senders in a few processes, and one loop that collects what they report.

A sender is a thread, for it mostly waits; processes are for the processors. They come from a fork server: it imports
the senders' modules once, and unlike a plain fork it is safe when the caller has threads. Where there is none
(Windows), each imports them itself. Each process has a pipe of its own, so one that dies cannot take a shared lock
with it.
"""

import multiprocessing
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkServerContext, SpawnContext
from multiprocessing.process import BaseProcess

from workers.load.ledger import Delivery
from workers.load.process import main
from workers.load.sender import Assignment

_START_SECONDS = 60.0
_MOST_PROCESSES = 16
"""Unless more are asked for; up to that, each sender has its own."""


class SenderDied(Exception):
    """A sender's process ended before its work did: an error of this program, whose trace is on standard error."""


class Fleet:
    """Senders that are ready, and wait for `go`. Made by `fleet`."""

    def __init__(self, processes: Mapping[Connection, BaseProcess]) -> None:
        self._processes = processes

    def go(self) -> None:
        """Let all of them begin."""
        for pipe in self._processes:
            pipe.send("go")

    def stop(self) -> None:
        """Let each of them end with the instance that it is at."""
        for pipe in self._processes:
            # One that has finished hears nothing any more.
            with suppress(BrokenPipeError, ConnectionResetError):
                pipe.send("stop")

    def reports(self) -> Iterator[list[Delivery]]:
        """What the senders report, as it comes, until all have finished; empty lists when nothing came for a while.

        Raises SenderDied.
        """
        working = dict(self._processes)
        while working:
            told = wait(list(working), timeout=0.2)
            if not told:
                yield []
            for pipe in [pipe for pipe in working if pipe in told]:
                report = _receive(pipe, working[pipe])
                if report is None:
                    del working[pipe]
                else:
                    yield report


@contextmanager
def fleet(assignments: Sequence[Assignment], processes: int | None = None) -> Iterator[Fleet]:
    """Start senders in that many processes and wait until all are ready; on leaving, none is left.

    Raises SenderDied.
    """
    context = _context()
    number = min(len(assignments), processes or _MOST_PROCESSES)
    started: dict[Connection, BaseProcess] = {}
    try:
        for place in range(number):
            here, there = context.Pipe()
            process: BaseProcess
            process = context.Process(target=main, args=(assignments[place::number], there), name="sender", daemon=True)
            process.start()
            # Without our copy the pipe ends when the sender does.
            there.close()
            started[here] = process
        for pipe, process in started.items():
            if not pipe.poll(_START_SECONDS):
                raise SenderDied(f"sender {process.pid} did not start within {_START_SECONDS:g} s")
            _receive(pipe, process)
        yield Fleet(started)
    finally:
        for pipe, process in started.items():
            pipe.close()
            if process.is_alive():
                process.terminate()
        for process in started.values():
            process.join()


def _context() -> ForkServerContext | SpawnContext:
    try:
        context = multiprocessing.get_context("forkserver")
    except ValueError:
        return multiprocessing.get_context("spawn")
    # The command line too: a child of the console script imports it again, and finds it there.
    context.set_forkserver_preload(["workers.load.process", "workers.cli"])
    return context


def _receive(pipe: Connection, process: BaseProcess) -> list[Delivery] | None:
    try:
        report: list[Delivery] | None = pipe.recv()
    except (EOFError, ConnectionResetError):
        process.join()
        raise SenderDied(f"sender {process.pid} ended with status {process.exitcode}") from None
    return report
