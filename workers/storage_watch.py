"""Looks at the storage area now and then, so that a node that can store nothing is not ready, and is again in time."""

import threading

from cluster.storage.area import StorageArea

HEALTHY_SECONDS = 5.0
FAILED_SECONDS = 1.0
"""Seconds between two probes; a failure in between is known without."""


class StorageWatch:
    """One thread of a process; a context manager."""

    def __init__(self, storage: StorageArea) -> None:
        self._storage = storage
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="storage-watch", daemon=True)

    def __enter__(self) -> "StorageWatch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        # A probe may hang with the medium: the thread is left behind.
        self._stopping.set()
        self._thread.join(1)

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._storage.probe()
            deadline = HEALTHY_SECONDS
            while deadline > 0 and not self._stopping.wait(FAILED_SECONDS) and self._storage.health.reason is None:
                deadline -= FAILED_SECONDS
