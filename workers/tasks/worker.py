"""Running a Celery worker: prefork, one queue, and a timer that asks for sweeps.

Celery's soft shutdown, with an end that a task knows of: after SIGTERM no message is taken any more, chunks and
jobs in hand have `Cluster.DrainSeconds` to be finished, and what is not finished then is given back, so that another
worker begins it at once instead of after its lease.
"""

import logging
import mmap
import threading
from collections.abc import Callable
from typing import Any

from celery import Celery, bootsteps, signals
from celery.utils.log import get_multiprocessing_logger
from celery.worker import state

from cluster.bulk.ledger import Pace
from cluster.config import Settings
from cluster.errors import BrokerUnavailable
from cluster.jobs.work import JobPace
from workers import traces
from workers.tasks.app import make_app
from workers.tasks.messages import JOBS_QUEUE, QUEUE, ask_for_sweep
from workers.termination import on_termination

_LOG = logging.getLogger(__name__)


def run_worker(
    settings: Settings, *, processes: int = 2, pace: Pace | None = None, job_pace: JobPace | None = None
) -> int:
    """Work until SIGTERM or SIGINT; the exit status.

    The caller has waited until the database is ready. A broker that is away, now or later, is waited for.
    """
    worker = Worker(settings, processes=processes, pace=pace, job_pace=job_pace)
    on_termination(worker.stop)
    return worker.run()


class Worker:
    """Celery's worker in this process and its pool in children."""

    def __init__(
        self,
        settings: Settings,
        *,
        processes: int = 2,
        pace: Pace | None = None,
        job_pace: JobPace | None = None,
        in_child: Callable[[], None] = lambda: None,
    ) -> None:
        """
        Args:
            in_child: called in each process of the pool, to let go of what is not its own.
        """
        self._settings = settings
        self._processes = processes
        self._pace = pace or Pace()
        self._in_child = in_child
        self._ending = mmap.mmap(-1, 1)  # shared by fork
        self.app = make_app(settings, self._pace, job_pace, self._is_ending)

    def run(self) -> int:
        """Work until `stop`; the exit status."""
        self.app.steps["worker"].add(_sweeper(self._pace.sweep_seconds))
        # Celery would set up logging anew, in its own form.
        signals.setup_logging.connect(_leave_logging_alone)
        signals.worker_process_init.connect(self._begin_child, weak=False)
        signals.worker_process_shutdown.connect(_end_child, weak=False)
        worker = _worker_class(self.app)(
            hostname=f"{self._settings.cluster.node_name}-import",
            quiet=True,  # no banner
            pool="prefork",
            concurrency=self._processes,
            queues=[JOBS_QUEUE, QUEUE],
            loglevel=logging.getLogger().getEffectiveLevel(),
            # Workers need not know each other: the ledger knows who has what.
            without_gossip=True,
            without_mingle=True,
        )
        worker.start()
        return int(worker.exitcode or 0)

    def stop(self) -> None:
        """Take no more messages; what is in hand is finished or given back. From any thread, any number of times."""
        if state.should_stop is None:
            seconds = self._settings.cluster.drain_seconds
            _LOG.info("the worker stops; what is in hand has %d s to be finished", seconds)
            state.should_stop = 0
            timer = threading.Timer(seconds, self._give_back)
            timer.daemon = True
            timer.start()

    def _give_back(self) -> None:
        self._ending[0] = 1
        _LOG.info("what is not finished is given back")

    def _is_ending(self) -> bool:
        return self._ending[0] != 0

    def _begin_child(self, **_: Any) -> None:
        self._in_child()
        traces.begin(self._settings, "worker")


def _end_child(**_: Any) -> None:
    traces.end()


def _worker_class(app: Celery) -> Any:
    class WithoutSignals(app.Worker):  # type: ignore[misc, name-defined, unused-ignore]
        def install_platform_tweaks(self, worker: Any) -> None:
            """Signals are handled by who runs the worker, from before it starts."""

    return WithoutSignals


def _leave_logging_alone(**_: Any) -> None:
    # The pool's own logger keeps its lines to itself, and without a handler they would go out in no form at all.
    get_multiprocessing_logger().propagate = True


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
