"""Sending messages: after the commit that says so, and never more than an id."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from uuid import UUID

from celery import Celery
from kombu.exceptions import OperationalError

from cluster.bulk.ledger import ChunkId, Ledger
from cluster.errors import BrokerUnavailable

QUEUE = "orthanc-cluster"
JOBS_QUEUE = "orthanc-cluster-jobs"
"""For what somebody waits for: never behind the chunks of an import."""

IMPORT_CHUNK = "orthanc_cluster.import_chunk"
SWEEP = "orthanc_cluster.sweep"
WORK_ON_JOBS = "orthanc_cluster.work_on_jobs"

_WAKE_UP_EXPIRES_SECONDS = 600


@dataclass(frozen=True, slots=True)
class Trace:
    """The headers that belong to messages about chunks of one import, so that its tasks are in its trace."""

    job_id: UUID
    headers: Mapping[str, str] = field(default_factory=dict)

    def of(self, job_id: UUID) -> dict[str, str]:
        """The headers of a message about a chunk of `job_id`."""
        return dict(self.headers) if job_id == self.job_id else {}


def dispatch(app: Celery, ledger: Ledger, trace: Trace | None = None) -> None:
    """Send a message for every chunk that needs one, of whatever job.

    Raises:
        BrokerUnavailable: the chunks that got none are due again after a while.
        ClusterError: the database did not answer.
    """
    send_chunks(app, ledger.take_due(), trace)


def send_chunks(app: Celery, chunks: Iterable[ChunkId], trace: Trace | None = None) -> None:
    """Wake workers up for these chunks; raises BrokerUnavailable."""
    try:
        for job_id, chunk in chunks:
            headers = trace.of(job_id) if trace else {}
            app.send_task(IMPORT_CHUNK, (str(job_id), chunk), headers=headers, ignore_result=True)
    except (OperationalError, OSError) as error:
        raise BrokerUnavailable(f"{broker_address(app)}: {error}") from error


def ask_for_sweep(app: Celery, expires_seconds: float) -> None:
    """Have some worker look for chunks that need a message; raises BrokerUnavailable.

    Expires, so that sweeps do not gather while no worker runs.
    """
    try:
        app.send_task(SWEEP, queue=JOBS_QUEUE, expires=expires_seconds, ignore_result=True, retry=False)
    except (OperationalError, OSError) as error:
        raise BrokerUnavailable(f"{broker_address(app)}: {error}") from error


def wake_for_jobs(app: Celery, workers: int = 1) -> None:
    """Have so many workers look for a job; raises BrokerUnavailable.

    A message names none: who gets it takes the job that matters most by then, which knows what trace it belongs to.
    """
    try:
        for _ in range(workers):
            app.send_task(WORK_ON_JOBS, queue=JOBS_QUEUE, expires=_WAKE_UP_EXPIRES_SECONDS, ignore_result=True)
    except (OperationalError, OSError) as error:
        raise BrokerUnavailable(f"{broker_address(app)}: {error}") from error


def check_broker(app: Celery) -> None:
    """Raises BrokerUnavailable unless the broker answers within a few seconds."""
    with app.connection_for_write() as connection:
        known: tuple[type[Exception], ...] = (OperationalError, OSError, *connection.connection_errors)
        try:
            connection.ensure_connection(max_retries=1, interval_start=0, interval_step=0.5, timeout=5)
            connection.default_channel.client.ping()
        except known as error:
            raise BrokerUnavailable(f"{broker_address(app)}: {error}") from error


def broker_address(app: Celery) -> str:
    """The broker's URL without its password."""
    return str(app.connection_for_write().as_uri())
