"""Names for the attachments of one process, registered before they are used (schema/sql/cluster_left_files.sql).

The way of an instance pays nothing for it: one small statement for every thousand names, or every half minute.
"""

import logging
import threading
import time
import uuid as uuids

from cluster.database import Database
from cluster.errors import ClusterError
from cluster.index.left_files import register, unregister
from cluster.storage.names import nth_name

_LOG = logging.getLogger(__name__)

BLOCK = 1024
RENEWAL_SECONDS = 30.0
"""Far less than others wait before they look after a silent process (`cluster.reconciliation.left_files`)."""

_PAUSE_SECONDS = 1.0


class RegisteredNames:
    """See `cluster.storage.names.Names`; `close` at the end of the process, before its database."""

    def __init__(self, database: Database, node: str) -> None:
        self._database = database
        self._node = node
        self._series = uuids.uuid4()
        self._next = 0
        self._upto = 0
        self._unsettled: dict[str, int] = {}
        self._doubtful: list[str] = []
        self._registered_at: float | None = None
        self._failure: tuple[float, ClusterError] | None = None
        self._lock = threading.Lock()

    def take(self) -> str:
        """The next one; raises Transient or DatabaseRefused where it cannot be registered."""
        with self._lock:
            if self._next >= self._upto or self._is_stale():
                self._register()
            number = self._next
            self._next += 1
            name = nth_name(self._series, number)
            self._unsettled[name] = number
            return name

    def settled(self, uuid: str) -> None:
        """A row names the file, or there is none."""
        with self._lock:
            self._unsettled.pop(uuid, None)

    def doubtful(self, uuid: str) -> None:
        """Told to the others with the next registration."""
        with self._lock:
            if uuid in self._unsettled:
                self._doubtful.append(uuid)

    def close(self) -> None:
        """Nothing is taken any more; what is open is left to others."""
        with self._lock:
            if self._registered_at is None:
                return
            try:
                if self._unsettled:
                    self._register(block=0)
                else:
                    unregister(self._database, self._series)
            except ClusterError as error:
                _LOG.warning("others will look for files that this process may have left: %s", error)

    def _is_stale(self) -> bool:
        return self._registered_at is None or time.monotonic() - self._registered_at > RENEWAL_SECONDS

    def _register(self, block: int = BLOCK) -> None:
        # Who waited for the lock meanwhile must not wait as long again.
        if self._failure is not None and time.monotonic() - self._failure[0] < _PAUSE_SECONDS:
            raise self._failure[1]
        doubtful = list(self._doubtful)
        open_numbers = [number for name, number in self._unsettled.items() if name not in doubtful]
        try:
            fresh = range(self._next, self._next + block)
            register(self._database, self._series, self._node, open_numbers, fresh, doubtful)
        except ClusterError as error:
            self._failure = (time.monotonic(), error)
            raise
        self._failure = None
        self._registered_at = time.monotonic()
        self._upto = fresh.stop
        for uuid in doubtful:
            self._unsettled.pop(uuid, None)
        del self._doubtful[: len(doubtful)]
