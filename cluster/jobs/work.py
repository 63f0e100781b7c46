"""Who works on which job: table cluster.jobs from the workers' side.

Invariants:

* One worker works on a job at a time: it has a lease, and every word it writes is fenced by the number of its attempt,
  which no two claims share.
* A job goes on whatever becomes of messages and workers: what is nobody's is claimed by whoever looks next.
* Every method may be run again after a lost answer with the same effect, because `Database.run` does that.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Literal, LiteralString
from uuid import UUID

from psycopg.types.json import Jsonb

from cluster.database import Database, Row, queries
from cluster.jobs.registry import CANCELED_JOB

_SQL = queries("cluster.jobs", "work.sql")
_INTERNAL_ERROR = -1

Wish = Literal["cancel", "pause"]


@dataclass(frozen=True, slots=True)
class JobPace:
    """How patient jobs are; the defaults suit production, tests hurry."""

    lease_seconds: float = 30.0
    """How long a job stays with a worker that gives no sign of life."""
    keep_seconds: float = 0.5
    """How often a worker gives one, and looks whether it is to stop."""
    retry_seconds: float = 5.0
    """How long a job rests that failed for a reason that time may cure."""
    maximum_tries: int = 5
    """Claims after which a job is given up."""


@dataclass(frozen=True, slots=True)
class Claim:
    """One attempt at a job, which is this worker's until its lease ends."""

    job_id: UUID
    type: str
    attempt: int
    task: Mapping[str, Any]

    @property
    def output(self) -> str:
        """Name of the file that this attempt may write, and no other."""
        return f"{self.job_id}-{self.attempt}"


@dataclass(frozen=True, slots=True)
class Ending:
    """How an attempt ended."""

    state: Literal["Success", "Failure", "Paused", "Retry"]
    error_code: int = 0
    error_details: str = ""
    content: Mapping[str, Any] = field(default_factory=dict)
    """Replaces keys of the job's content."""
    output: str | None = None
    output_bytes: int | None = None


class LeaseLost(Exception):
    """The job has become somebody else's, or is gone; nothing that this attempt does counts any more."""


class Work:
    """What one worker reads and writes of the jobs."""

    def __init__(self, database: Database, pace: JobPace | None = None) -> None:
        self._database = database
        self.pace = pace or JobPace()

    def claim(self, holder: str) -> Claim | None:
        """The job that matters most of those that are nobody's.

        Args:
            holder: a name that no other run has or will have.
        """
        values = self._hopeless() | {"holder": holder, "lease": timedelta(seconds=self.pace.lease_seconds)}

        def work(cursor: Any) -> list[Row]:
            cursor.execute(_SQL["settle"], values)
            rows: list[Row] = cursor.execute(_SQL["claim"], values).fetchall()
            return rows

        rows = self._database.run("job_claim", work)
        return Claim(*rows[0]) if rows else None

    def due(self) -> int:
        """How many jobs wait for a worker."""

        def work(cursor: Any) -> list[Row]:
            cursor.execute(_SQL["settle"], self._hopeless())
            rows: list[Row] = cursor.execute(_SQL["due"]).fetchall()
            return rows

        ((number,),) = self._database.run("job_due", work)
        return int(number)

    def keep(self, claim: Claim, progress: int) -> Wish | None:
        """A full lease again, and what somebody wants of the attempt; raises LeaseLost."""
        lease = timedelta(seconds=self.pace.lease_seconds)
        values = {"job_id": claim.job_id, "attempt": claim.attempt, "lease": lease, "progress": progress}
        rows = self._rows("keep", values)
        if not rows:
            raise LeaseLost
        wish: Wish | None = rows[0][0]
        return wish

    def end(self, claim: Claim, ending: Ending) -> None:
        """The attempt is over; raises LeaseLost."""
        values = {
            "job_id": claim.job_id,
            "attempt": claim.attempt,
            "state": ending.state,
            "progress": 100 if ending.state == "Success" else 0,
            "error_code": ending.error_code,
            "error_details": ending.error_details.replace("\0", ""),
            "content": Jsonb(dict(ending.content)),
            "output": ending.output,
            "output_bytes": ending.output_bytes,
            "retry": timedelta(seconds=self.pace.retry_seconds),
        }
        if not self._rows("end", values):
            raise LeaseLost

    def forget_oldest(self, jobs: int, outputs: int) -> None:
        """Keep so many finished jobs (JobsHistorySize), and so many outputs (MediaArchiveSize)."""

        def work(cursor: Any) -> None:
            cursor.execute(_SQL["forget_oldest"], {"kept": jobs})
            cursor.execute(_SQL["forget_oldest_outputs"], {"kept": outputs})

        self._database.run("job_forget_oldest", work)

    def live_outputs(self, names: Sequence[str]) -> set[str]:
        """Of files in the folder of outputs, those that a job has or an attempt may be writing."""
        return {name for (name,) in self._rows("live_outputs", {"names": list(names)})}

    def _hopeless(self) -> dict[str, Any]:
        reason = f"given up: {self.pace.maximum_tries} workers began this job and none finished it"
        return {
            "maximum_tries": self.pace.maximum_tries,
            "reason": reason,
            "canceled": CANCELED_JOB,
            "internal": _INTERNAL_ERROR,
        }

    def _rows(self, query: LiteralString, values: Mapping[str, Any]) -> list[Row]:
        return self._database.run(f"job_{query}", lambda cursor: cursor.execute(_SQL[query], values).fetchall())
