"""Imports as jobs: what people see of them and do to them, whoever began them.

Invariant: a chunk of an import that is paused or canceled is not claimed, and whoever works on one has lost its lease,
so nothing more of it is counted; what was committed of it until then is found as already stored by whoever reads it
again.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, LiteralString
from uuid import UUID

from cluster.bulk.entries import ImportFile, printable
from cluster.database import Database, Row, queries

_SQL = queries("cluster.bulk", "imports.sql")


@dataclass(frozen=True, slots=True)
class Import:
    """An import as it is now."""

    job_id: UUID
    paths: list[Mapping[str, Any]]
    created_at: datetime
    walked_at: datetime | None
    paused_at: datetime | None
    canceled_at: datetime | None
    chunks: int
    chunks_done: int
    files: int
    stored: int
    already_stored: int
    not_dicom: int
    failed: int
    chunks_held: int
    last_done_at: datetime | None
    now: datetime

    @property
    def is_done(self) -> bool:
        """Every file has its outcome."""
        return self.walked_at is not None and self.chunks_done == self.chunks

    @property
    def state(self) -> str:
        """In Orthanc's words."""
        if self.is_done and self.canceled_at is None:
            return "Failure" if self.failed else "Success"
        if self.canceled_at is not None:
            return "Failure"
        if self.paused_at is not None:
            return "Paused"
        return "Running" if self.chunks_held or self.chunks_done else "Pending"

    @property
    def completed_at(self) -> datetime | None:
        """When the last chunk was done, or somebody canceled."""
        if self.canceled_at is not None:
            return self.canceled_at
        return (self.last_done_at or self.walked_at) if self.is_done else None

    @property
    def progress(self) -> int:
        """Percent of the files found so far; 100 only at the end."""
        if self.is_done:
            return 100
        done = self.stored + self.already_stored + self.not_dicom + self.failed
        return min(99, done * 100 // self.files) if self.files else 0

    def printable_paths(self) -> list[str]:
        """What was to be imported."""
        return [printable(ImportFile.from_json(dict(path)).path) for path in self.paths]


class Imports:
    """All imports of the cluster, for any node."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def ids(self, history: int) -> list[UUID]:
        """Unfinished imports, and as many finished ones as the history holds; oldest first."""
        return [job_id for (job_id,) in self._rows("ids", {"kept": history}, read_only=True)]

    def states(self, history: int) -> Mapping[str, int]:
        """How many of them are in which state; cheap."""
        return dict(self._rows("states", {"kept": history}, read_only=True))

    def get(self, job_id: UUID) -> Import | None:
        """One import; None if there is none."""
        rows = self._rows("import", {"job_id": job_id}, read_only=True)
        return Import(*rows[0]) if rows else None

    def cancel(self, job_id: UUID) -> bool:
        """End it where it is. False: there is no such import, or it is finished."""
        return self._then("cancel", "take_back", job_id)

    def pause(self, job_id: UUID) -> bool:
        """Have it wait until it is resumed. False: there is no such import, or it is finished."""
        return self._then("pause", "take_back", job_id)

    def resume(self, job_id: UUID) -> bool:
        """Let it go on. False: there is no such import, or it is not paused."""
        return bool(self._rows("resume", {"job_id": job_id}))

    def resubmit(self, job_id: UUID) -> bool:
        """Go on with a canceled one, or read again what failed. False: there is no such import, or nothing failed."""
        return self._then("resubmit", "read_again", job_id)

    def forget(self, job_id: UUID) -> bool:
        """Show it no longer. False: there is no such import, or it is not finished."""
        return bool(self._rows("forget", {"job_id": job_id}))

    def _then(self, query: LiteralString, following: LiteralString, job_id: UUID) -> bool:
        def work(cursor: Any) -> bool:
            found = bool(cursor.execute(_SQL[query], {"job_id": job_id}).fetchall())
            if found:
                cursor.execute(_SQL[following], {"job_id": job_id})
            return found

        return self._database.run(f"import_{query}", work)

    def _rows(self, query: LiteralString, values: Mapping[str, Any], *, read_only: bool = False) -> list[Row]:
        return self._database.run(
            f"import_{query}", lambda cursor: cursor.execute(_SQL[query], values).fetchall(), read_only=read_only
        )
