"""What a worker says of its surroundings from memory: whether the broker answers, and how much is to be done."""

import contextlib
import logging
import threading
from collections.abc import Iterator

from celery import Celery

from cluster import telemetry
from cluster.bulk.ledger import Ledger
from cluster.config import Settings
from cluster.database import Database
from cluster.errors import BrokerUnavailable, ClusterError
from workers.job_states import states_of_jobs
from workers.tasks.messages import check_broker

_LOG = logging.getLogger(__name__)
_LONGEST_PAUSE_SECONDS = 5


class Watch:
    """Looks every few seconds, in a thread."""

    def __init__(self, settings: Settings, app: Celery) -> None:
        self._app = app
        self._history = settings.jobs_history_size
        # One connection, and no patience: what cannot be read now is read next time.
        postgresql = settings.postgresql.model_copy(
            update={"index_connections_count": 1, "maximum_connection_retries": 0}
        )
        self._database = Database(postgresql, time_budget_seconds=_LONGEST_PAUSE_SECONDS)
        self._pause_seconds = min(postgresql.connection_retry_interval_seconds, _LONGEST_PAUSE_SECONDS)
        self._over = threading.Event()
        self.hindrance: str | None = "has not looked for the broker yet"
        """Why no task can arrive; None if one can."""

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Look for as long as the block lasts."""
        self._database.open()
        thread = threading.Thread(target=self._run, name="watch", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._over.set()
            thread.join(_LONGEST_PAUSE_SECONDS)
            self._database.close()

    def _run(self) -> None:
        while not self._over.is_set():
            self._look_for_broker()
            self._count()
            self._over.wait(self._pause_seconds)

    def _look_for_broker(self) -> None:
        try:
            check_broker(self._app)
            reason = None
        except BrokerUnavailable as error:
            reason = f"the broker does not answer: {error}"
        if (reason is None) != (self.hindrance is None):
            _LOG.log(logging.WARNING if reason else logging.INFO, "%s", reason or "the broker answers")
        self.hindrance = reason

    def _count(self) -> None:
        try:
            unfinished = Ledger(self._database).unfinished()
            states = states_of_jobs(self._database, self._history)
        except ClusterError as error:
            _LOG.debug("jobs and unfinished chunks cannot be counted: %s", error)
            return
        for name in ("waiting", "sent", "active"):
            telemetry.import_chunks.labels(name).set(getattr(unfinished, name))
        for state, number in states.items():
            telemetry.jobs.labels(state).set(number)
