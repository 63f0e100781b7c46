"""Bounded pools of threads for what blocks, so that the event loop never does."""

import asyncio
import contextvars
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import ParamSpec, TypeVar

from cluster.errors import NodeBusy

P = ParamSpec("P")
T = TypeVar("T")


class ThreadPool:
    """Some threads, and a limit to how many requests may have or wait for one.

    All methods but `close` belong to the event loop's thread.
    """

    def __init__(self, name: str, threads: int, waiting: int) -> None:
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix=f"http-{name}")
        self._free = threads + waiting

    @contextmanager
    def admit(self) -> Iterator[None]:
        """Count one request for as long as the block lasts; raises NodeBusy if there are too many."""
        if self._free == 0:
            raise NodeBusy("this node has as many requests as it can take")
        self._free -= 1
        try:
            yield
        finally:
            self._free += 1

    async def run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """The result of `work`, done by a thread of the pool in the context of the request (log fields)."""
        context = contextvars.copy_context()
        return await asyncio.get_running_loop().run_in_executor(
            self._executor, lambda: context.run(work, *args, **kwargs)
        )

    def close(self) -> None:
        """Let the threads go when they have finished what they are at."""
        self._executor.shutdown(wait=False, cancel_futures=True)
