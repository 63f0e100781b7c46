"""What keeps the index cheap to read, done beside the writers (interop/schema.md 11, "Housekeeping thread").

Every process may run it: the functions of the schema skip what another session is working on.
"""

import logging
import threading
import time
from collections.abc import Callable

from cluster import telemetry
from cluster.database import Database
from cluster.errors import ClusterError
from cluster.index.statistics import count_missing_children, fold_statistics, recount_children

_LOG = logging.getLogger(__name__)

MISSING_CHILD_COUNTS_PER_PASS = 1000
"""Rows of an upgraded database that get their first child count in one pass."""


class Housekeeping:
    """One thread that tidies up every `interval_seconds` until it is stopped; a failure is logged and tried again."""

    def __init__(self, database: Database, interval_seconds: float) -> None:
        self._database = database
        self._interval_seconds = interval_seconds
        self._missing_child_counts = True
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
