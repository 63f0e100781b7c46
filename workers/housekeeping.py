"""What keeps the index cheap to read, done beside the writers (interop/schema.md 11, "Housekeeping thread").

One elected process of the cluster does it, the others stand by. Whatever writes is fenced by the term of the one in
office (`cluster/coordinator/election.py`); files are claimed before they are removed, and may be removed twice.
"""

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterator

from cluster import telemetry, tracing
from cluster.config import Settings
from cluster.coordinator.election import Election
from cluster.database import Database
from cluster.database.advisory_lock import HOUSEKEEPING_KEY
from cluster.errors import ClusterError, OfficeLost
from cluster.index.stable import log_stable_resources
from cluster.index.statistics import count_lock_waits, count_missing_children, fold_statistics, recount_children
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


@contextlib.contextmanager
def keeping_house(settings: Settings, database: Database, storage: StorageArea) -> Iterator[None]:
    """Stand for housekeeping, and keep house when elected, for as long as the block lasts.

    An index in SQLite has no other process that could be elected.
    """
    wake = threading.Event()
    interval = settings.postgresql.housekeeping_interval_seconds
    if not settings.postgresql.enable_index:
        alone = Housekeeping(database, storage, interval, settings.stable_age_seconds)
        alone.start()
        try:
            yield
        finally:
            alone.stop()
        return
    election = Election(
        settings.postgresql,
        "housekeeping",
        HOUSEKEEPING_KEY,
        settings.cluster.node_name,
        on_change=lambda term: _on_change(term, wake),
    )
    housekeeping = Housekeeping(database, storage, interval, settings.stable_age_seconds, election, wake)
    election.start()
    housekeeping.start()
    try:
        yield
    finally:
        housekeeping.stop()
        election.stop()


def _on_change(term: int | None, wake: threading.Event) -> None:
    telemetry.housekeeping_leader.set(term is not None)
    wake.set()


class Housekeeping:
    """One thread that tidies up every `interval_seconds` until it is stopped; a failure is logged and tried again."""

    def __init__(
        self,
        database: Database,
        storage: StorageArea,
        interval_seconds: float,
        stable_age_seconds: float,
        election: Election | None = None,
        wake: threading.Event | None = None,
    ) -> None:
        """
        Args:
            election: passes are made in its terms only; always without one.
            wake: set when something has changed, so that the interval is not waited for.
        """
        self._everybodys = database
        self._database = database
        self._election = election
        self._term: int | None = None
        self._wake = wake or threading.Event()
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
        self._wake.set()
        if self._thread.ident is not None:
            self._thread.join(wait_seconds)

    def _run(self) -> None:
        while not self._stopping.is_set():
            if self._election is None:
                self._pass()
            elif (term := self._election.term) is not None:
                self._pass_in_term(self._election, term)
            self._wake.wait(self._interval_seconds)
            self._wake.clear()

    def _pass_in_term(self, election: Election, term: int) -> None:
        if term != self._term:
            self._term = term
            self._database = election.in_term(self._everybodys, term)
            # Another one may have been in office, on another database for all we know.
            self._missing_child_counts = True
        try:
            self._pass()
            if not self._must_stop():
                election.pass_is_over(self._database)
        except OfficeLost as error:
            _LOG.warning("housekeeping: %s", error)
        except ClusterError as error:
            _LOG.warning("the end of a pass of housekeeping is not noted: %s", error)

    def _must_stop(self) -> bool:
        """Whether the rest of the pass is nothing for this process."""
        return self._stopping.is_set() or (self._election is not None and self._election.term != self._term)

    def _pass(self) -> None:
        with tracing.span("housekeeping"):
            self._tasks()
        telemetry.housekeeping_pass.set_to_current_time()

    def _tasks(self) -> None:
        if self._missing_child_counts:
            self._task("count_missing_children", self._count_missing_children)
        self._task("count_lock_waits", lambda: telemetry.lock_waits.set(count_lock_waits(self._database)))
        self._task("fold_statistics", lambda: fold_statistics(self._database))
        self._task("recount_children", lambda: recount_children(self._database))
        self._task("log_stable_resources", lambda: log_stable_resources(self._database, self._stable_age_seconds))
        self._task("settle_left_files", self._settle_left_files)
        self._task("remove_files", lambda: remove_files(self._database, self._storage, self._must_stop))

    def _settle_left_files(self) -> None:
        if time.monotonic() >= self._next_left_files:
            self._next_left_files = time.monotonic() + LEFT_FILES_INTERVAL_SECONDS
            settle_left_files(self._database, self._storage, self._must_stop)

    def _count_missing_children(self) -> None:
        # Looking for such rows reads the whole table: never again once there are none, as new rows have their count.
        self._missing_child_counts = count_missing_children(self._database, MISSING_CHILD_COUNTS_PER_PASS) > 0

    def _task(self, name: str, work: Callable[[], object]) -> None:
        if self._must_stop():
            return
        started = time.monotonic()
        try:
            with tracing.span(name):
                work()
            telemetry.housekeeping_done.labels(name).set_to_current_time()
        except OfficeLost:
            raise
        except ClusterError as error:
            _LOG.warning("housekeeping %s failed and will be tried again: %s", name, error)
        except Exception:
            _LOG.exception("housekeeping %s failed and will be tried again", name)
        finally:
            telemetry.housekeeping_seconds.labels(name).observe(time.monotonic() - started)
