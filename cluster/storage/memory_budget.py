"""How many bytes of instances one process may hold in memory.

Nobody waits for the budget: a reception that gets no more of it goes on to the storage area instead, so that slow
senders cannot keep fast ones out and no sender is ever refused for lack of memory.
"""

import threading

from cluster import telemetry


class MemoryBudget:
    """A counter with a limit, in bytes; thread-safe."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._held_bytes = 0
        self._lock = threading.Lock()

    def take(self, size: int) -> bool:
        """Whether `size` more bytes may be held; they are counted if so."""
        with self._lock:
            if self._held_bytes + size > self._limit_bytes:
                return False
            self._held_bytes += size
        telemetry.buffered_bytes.inc(size)
        return True

    def give_back(self, size: int) -> None:
        """The bytes are no longer held."""
        with self._lock:
            self._held_bytes -= size
        telemetry.buffered_bytes.dec(size)
