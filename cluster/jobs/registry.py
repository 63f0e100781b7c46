"""What people see of jobs and do to them: table cluster.jobs from the side of ``/jobs`` (interop/rest.md 10).

Every method may be run again after a lost answer with the same effect, because `Database.run` does that.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, LiteralString
from uuid import UUID

from psycopg.types.json import Json, Jsonb

from cluster.database import Database, Row, queries

_SQL = queries("cluster.jobs", "jobs.sql")

CANCELED_JOB = 37
"""Orthanc's number for the error of a job that somebody canceled."""

MINIMUM_PRIORITY, MAXIMUM_PRIORITY = -(2**31), 2**31 - 1


@dataclass(frozen=True, slots=True)
class NewJob:
    """A job as it is asked for."""

    job_id: UUID
    type: str
    priority: int
    task: Mapping[str, Any]
    """What the worker needs; JSON without U+0000."""
    content: Mapping[str, Any]
    """What ``GET /jobs/{id}`` shows."""
    user_data: Any = None


@dataclass(frozen=True, slots=True)
class Job:
    """A job as it is now. Times are aware; `runtime_seconds` is that of all attempts."""

    job_id: UUID
    type: str
    state: str
    priority: int
    content: Mapping[str, Any]
    user_data: Any
    progress: int
    error_code: int
    error_details: str
    created_at: datetime
    completed_at: datetime | None
    runtime_seconds: float
    now: datetime


@dataclass(frozen=True, slots=True)
class Output:
    """A file that a job has made: its name in the folder of outputs, and what the job was asked to do."""

    name: str
    size: int
    task: Mapping[str, Any]


class Registry:
    """The jobs of the cluster, for any node."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(self, job: NewJob) -> None:
        """Remember a job; a worker may begin it as soon as this returns."""
        values = {
            "job_id": job.job_id,
            "type": job.type,
            "priority": job.priority,
            "task": Jsonb(dict(job.task)),
            "content": Jsonb(dict(job.content)),
            "user_data": None if job.user_data is None else Json(job.user_data),
        }
        self._database.run("job_create", lambda cursor: cursor.execute(_SQL["create"], values))

    def ids(self) -> list[UUID]:
        """All jobs that are not forgotten, oldest first."""
        return [job_id for (job_id,) in self._rows("ids", {}, read_only=True)]

    def all(self) -> list[Job]:
        """The same, in full."""
        return [Job(*row) for row in self._rows("list", {"job_id": None}, read_only=True)]

    def states(self) -> Mapping[str, int]:
        """How many jobs are in which state."""
        return dict(self._rows("states", {}, read_only=True))

    def get(self, job_id: UUID) -> Job | None:
        """One job; None if there is none."""
        rows = self._rows("list", {"job_id": job_id}, read_only=True)
        return Job(*rows[0]) if rows else None

    def cancel(self, job_id: UUID) -> bool:
        """Have a job end as a failure: at once if it waits, else within about a second. False: there is no such job."""
        return bool(self._rows("cancel", {"job_id": job_id, "canceled": CANCELED_JOB}))

    def pause(self, job_id: UUID) -> bool:
        """Have a job wait until it is resumed. False: there is no such job."""
        return bool(self._rows("pause", {"job_id": job_id}))

    def resume(self, job_id: UUID) -> bool:
        """Let a paused job go on. False: there is no such job, or it is not paused."""
        return bool(self._rows("resume", {"job_id": job_id}))

    def resubmit(self, job_id: UUID) -> bool:
        """Have a failed job done again. False: there is no such job, or it has not failed."""
        return bool(self._rows("resubmit", {"job_id": job_id}))

    def forget(self, job_id: UUID) -> bool:
        """Take a finished job out of the history. False: there is no such job, or it is not finished."""
        return bool(self._rows("forget", {"job_id": job_id}))

    def use_output(self, job_id: UUID) -> Output | None:
        """What a job has made, which counts as used now; None if there is nothing (any more)."""
        rows = self._rows("use_output", {"job_id": job_id})
        return Output(*rows[0]) if rows else None

    def forget_output(self, job_id: UUID) -> bool:
        """The job no longer has an output; its file goes with the next `outputs.collect`. False: it had none."""
        return bool(self._rows("forget_output", {"job_id": job_id}))

    def _rows(self, query: LiteralString, values: Mapping[str, Any], *, read_only: bool = False) -> list[Row]:
        return self._database.run(
            f"job_{query}", lambda cursor: cursor.execute(_SQL[query], values).fetchall(), read_only=read_only
        )
