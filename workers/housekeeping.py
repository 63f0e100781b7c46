"""What keeps the index cheap to read, done beside the writers (interop/schema.md 11, "Housekeeping thread").

Every process may run it: counts skip what another session is working on, files are claimed, and what must happen once
is done by one session at a time.
"""

import logging
import threading
import time
from collections.abc import Callable

from cluster import telemetry
from cluster.database import Database
from cluster.errors import ClusterError
from cluster.index.stable import log_stable_resources
from cluster.index.statistics import count_missing_children, fold_statistics, recount_children
from cluster.ingest.removal import remove_files
from cluster.reconciliation.left_files import settle_left_files
from cluster.storage.area import StorageArea

_LOG = logging.getLogger(__name__)

MISSING_CHILD_COUNTS_PER_PASS = 1000
"""Rows of an upgraded database that get their first child count in one pass."""


LEFT_FILES_INTERVAL_SECONDS = 15.0
"""How often somebody looks for files that a killed process left; nobody waits for that."""

DEFAULT_STABLE_AGE_SECONDS = 60
"""In place of a StableAge below 1 (interop/ingest.md 5)."""


class Housekeeping:
    """One thread that tidies up every `interval_seconds` until it is stopped; a failure is logged and tried again."""

    def __init__(
        self, database: Database, storage: StorageArea, interval_seconds: float, stable_age_seconds: float
    ) -> None:
        self._database = database
        self._storage = storage
        self._stable_age_seconds = stable_age_seconds if stable_age_seconds >= 1 else DEFAULT_STABLE_AGE_SECONDS
        self._interval_seconds = interval_seconds
        self._missing_child_counts = True
        self._next_left_files = 0.0
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="housekeeping", daemon=True)

    def start(self) -> None:
        """Begin, with a first pass at once."""
        self._thread.start()

    def stop(self, wait_seconds: float = 5) -> None:
        """Ask the thread to end and wait for it; a pass that hangs on the database is left behind."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join(wait_seconds)

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._pass()
            self._stopping.wait(self._interval_seconds)

    def _pass(self) -> None:
        if self._missing_child_counts:
            self._task("count_missing_children", self._count_missing_children)
        self._task("fold_statistics", lambda: fold_statistics(self._database))
        self._task("recount_children", lambda: recount_children(self._database))
        self._task("log_stable_resources", lambda: log_stable_resources(self._database, self._stable_age_seconds))
        self._task("settle_left_files", self._settle_left_files)
        self._task("remove_files", lambda: remove_files(self._database, self._storage, self._stopping.is_set))

    def _settle_left_files(self) -> None:
        if time.monotonic() >= self._next_left_files:
            self._next_left_files = time.monotonic() + LEFT_FILES_INTERVAL_SECONDS
            settle_left_files(self._database, self._storage, self._stopping.is_set)

    def _count_missing_children(self) -> None:
        # Looking for such rows reads the whole table: never again once there are none, as new rows have their count.
        self._missing_child_counts = count_missing_children(self._database, MISSING_CHILD_COUNTS_PER_PASS) > 0

    def _task(self, name: str, work: Callable[[], object]) -> None:
        if self._stopping.is_set():
            return
        started = time.monotonic()
        try:
            work()
        except ClusterError as error:
            _LOG.warning("housekeeping %s failed and will be tried again: %s", name, error)
        except Exception:
            _LOG.exception("housekeeping %s failed and will be tried again", name)
        finally:
            telemetry.housekeeping_seconds.labels(name).observe(time.monotonic() - started)
