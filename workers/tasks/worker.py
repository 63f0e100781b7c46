"""Running a Celery worker: prefork, one queue, and a timer that asks for sweeps."""

import logging
from typing import Any

from celery import Celery, bootsteps

from cluster.bulk.ledger import Pace
from cluster.config import Settings
from cluster.errors import BrokerUnavailable
from cluster.jobs.work import JobPace
from workers.tasks.app import make_app
from workers.tasks.messages import JOBS_QUEUE, QUEUE, ask_for_sweep

_LOG = logging.getLogger(__name__)


def run_worker(
    settings: Settings, *, processes: int = 2, pace: Pace | None = None, job_pace: JobPace | None = None
) -> int:
    """Work until SIGTERM or SIGINT, which let the chunks and jobs in hand finish; the exit status.

    The caller has waited until the database is ready. A broker that is away, now or later, is waited for.
    """
    pace = pace or Pace()
    app = make_app(settings, pace, job_pace)
    app.steps["worker"].add(_sweeper(pace.sweep_seconds))
    worker = app.Worker(
        hostname=f"{settings.cluster.node_name}-import",
        quiet=True,  # no banner
        pool="prefork",
        concurrency=processes,
        queues=[JOBS_QUEUE, QUEUE],
        loglevel=logging.getLogger().getEffectiveLevel(),
        # Workers need not know each other: the ledger knows who has what.
        without_gossip=True,
        without_mingle=True,
    )
    worker.start()
    return int(worker.exitcode or 0)


def _sweeper(seconds: float) -> type:
    class Sweeper(bootsteps.StartStopStep):  # type: ignore[misc, unused-ignore]
        """Asks for a sweep at start and every so often: what no message tells of is found in PostgreSQL."""

        requires = ("celery.worker.components:Timer",)
        _entry: Any = None

        def start(self, worker: Any) -> None:
            worker.timer.call_after(0, _ask, (worker.app, seconds))
            self._entry = worker.timer.call_repeatedly(seconds, _ask, (worker.app, seconds))

        def stop(self, worker: Any) -> None:
            if self._entry is not None:
                self._entry.cancel()
                self._entry = None

    return Sweeper


def _ask(app: Celery, seconds: float) -> None:
    try:
        ask_for_sweep(app, expires_seconds=seconds)
    except BrokerUnavailable as error:
        _LOG.warning("no sweep for unfinished imports and jobs now: %s", error)
