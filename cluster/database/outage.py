"""How long the database was away, as the units of work of one process see it."""

import logging
import threading
import time

from cluster import telemetry

_LOG = logging.getLogger(__name__)


class Outage:
    """From the first failure for lack of a connection to the next success; the metric grows meanwhile."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._began: float | None = None
        self._counted = 0.0

    def failed(self, reason: str) -> None:
        """A connection could not be had, or was lost."""
        with self._lock:
            now = time.monotonic()
            if self._began is None:
                self._began = self._counted = now
                _LOG.warning("the database cannot be reached: %s", reason)
            self._count(now)

    def succeeded(self) -> None:
        """A unit of work got its answer."""
        if self._began is None:
            return
        with self._lock:
            if self._began is not None:
                now = time.monotonic()
                self._count(now)
                _LOG.info("the database answers again, after %.1f s", now - self._began)
                self._began = None

    def _count(self, now: float) -> None:
        telemetry.outage_seconds.inc(now - self._counted)
        self._counted = now
