"""What the processes of one node know of each other: who is ready.

A probe reaches one process, a sender any of them; so the node is ready when all its processes are.
"""

import mmap


class Siblings:
    """One byte a process in memory that is shared by fork; make it before forking."""

    def __init__(self, processes: int) -> None:
        self._ready = mmap.mmap(-1, processes)

    def tell(self, process: int, is_ready: bool) -> None:
        """Process number `process` (from 0) is ready, or no longer."""
        self._ready[process] = is_ready

    def reason(self) -> str | None:
        """Why this node is not ready as far as its processes go; None if all are."""
        waiting = self._ready[:].count(0)
        return f"{waiting} of {len(self._ready)} processes of this node are not ready" if waiting else None
