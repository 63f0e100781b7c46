"""The Celery application: which tasks there are and how messages are handled.

A message is a wake-up call and nothing more: it names at most a chunk in PostgreSQL, may be lost, late or delivered
twice.
"""

import logging
from collections.abc import Callable
from typing import Any
from uuid import UUID

from celery import Celery, Task, signals

from cluster import telemetry
from cluster.bulk.ledger import Ledger, Pace
from cluster.config import Settings
from cluster.errors import ClusterError, Transient
from cluster.jobs.work import JobPace
from workers.tasks.chunks import ChunkWorker
from workers.tasks.jobs import JobWorker
from workers.tasks.measured import NOTHING_TO_DO, measured
from workers.tasks.messages import IMPORT_CHUNK, QUEUE, SWEEP, WORK_ON_JOBS, Trace, dispatch, wake_for_jobs
from workers.tasks.transport import use_for_redis

_LOG = logging.getLogger(__name__)

# A chunk that takes longer is delivered a second time, where it finds the lease of the first and goes away.
VISIBILITY_TIMEOUT_SECONDS = 300


# Jobs for which a sweep wakes somebody up; each worker that ends one wakes the next.
_WOKEN_AT_A_TIME = 8


def make_app(
    settings: Settings,
    pace: Pace | None = None,
    job_pace: JobPace | None = None,
    is_ending: Callable[[], bool] = lambda: False,
) -> Celery:
    """The application for senders and workers alike; connects to nothing.

    Args:
        is_ending: whether a task in hand shall give back what it has begun.
    """
    use_for_redis()
    app = Celery("orthanc-cluster", broker=settings.cluster.redis_url.get_secret_value(), set_as_current=False)
    app.conf.update(_configuration())
    worker = ChunkWorker(settings, pace or Pace(), is_ending)
    jobs = JobWorker(settings, worker.open, job_pace, is_ending)

    @app.task(name=IMPORT_CHUNK, bind=True)  # type: ignore[untyped-decorator, unused-ignore]
    def import_chunk(task: Task, job_id: str, chunk: int) -> None:
        job = UUID(job_id)
        with measured("import_chunk", task.request) as run:
            run.outcome = worker.work(job, chunk)
            if run.outcome in ("done", "given_back"):
                # A finished chunk makes room for another; one that was given back needs a message.
                _dispatch(app, worker.ledger(), Trace(job, task.request.headers or {}))

    @app.task(name=WORK_ON_JOBS, bind=True)  # type: ignore[untyped-decorator, unused-ignore]
    def work_on_jobs(task: Task) -> None:
        with measured("work_on_jobs", task.request) as run:
            try:
                run.outcome = "done" if jobs.work() else NOTHING_TO_DO
                if run.outcome == "done":
                    _tidy(jobs)
                    wake_for_jobs(app, min(jobs.due(), 1))
            except Transient as error:
                run.outcome = "put_off"
                _LOG.warning("jobs will be looked for later: %s", error)

    @app.task(name=SWEEP, bind=True)  # type: ignore[untyped-decorator, unused-ignore]
    def sweep(task: Task) -> None:
        with measured("sweep", task.request):
            _dispatch(app, worker.ledger())
            _tidy(jobs)
            try:
                wake_for_jobs(app, min(jobs.due(), _WOKEN_AT_A_TIME))
            except Transient as error:
                _LOG.warning("messages for unfinished jobs will be sent later: %s", error)

    def open_process(**_: Any) -> None:
        # Of a pool process, whose own value would be 0: ready is what the process says that has the door.
        telemetry.ready.set(1)
        worker.open()

    def close_process(**_: Any) -> None:
        worker.close()

    # After fork: neither libpq connections nor threads survive being copied into a child.
    signals.worker_process_init.connect(open_process, weak=False)
    signals.worker_process_shutdown.connect(close_process, weak=False)
    return app


def _dispatch(app: Celery, ledger: Ledger, trace: Trace | None = None) -> None:
    try:
        dispatch(app, ledger, trace)
    except Transient as error:
        _LOG.warning("messages for unfinished imports will be sent later: %s", error)


def _tidy(jobs: JobWorker) -> None:
    try:
        jobs.tidy()
    except ClusterError as error:
        _LOG.warning("the history of jobs will be tidied up later: %s", error)


def _configuration() -> dict[str, Any]:
    return {
        "task_default_queue": QUEUE,
        "task_acks_late": True,
        "task_reject_on_worker_lost": True,
        "task_ignore_result": True,
        "task_publish_retry_policy": {"max_retries": 3, "interval_start": 0, "interval_step": 0.5, "interval_max": 1},
        "task_serializer": "json",
        "accept_content": ["json"],
        "worker_prefetch_multiplier": 1,
        "worker_redirect_stdouts": False,
        "worker_hijack_root_logger": False,
        # Tasks that lost the broker finish anyway: the ledger is in PostgreSQL.
        "worker_cancel_long_running_tasks_on_connection_loss": False,
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,  # for ever
        "broker_connection_timeout": 5,
        "broker_transport_options": {
            "visibility_timeout": VISIBILITY_TIMEOUT_SECONDS,
            "socket_connect_timeout": 5,
            "socket_timeout": 10,
            "socket_keepalive": True,
            # Of one message, not of a worker's connection: the timer that asks for sweeps must not wait for a broker
            # that is away, because the same thread has to notice that.
            "max_retries": 1,
            "interval_start": 0,
        },
    }
