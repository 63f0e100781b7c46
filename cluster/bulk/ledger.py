"""The memory of bulk imports: tables cluster.import_jobs and cluster.import_chunks.

Invariants:

* A chunk in the ledger gets done, whatever becomes of messages, workers and the command: `take_due` finds it again.
* A chunk is done once. Its counts come from the one run that held the lease when it said so (fencing by
  `lease_holder`, which no two runs share); what other runs stored of it is found as already stored.
* Every method may be run again after a lost answer with the same effect, because `Database.run` does that.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, LiteralString
from uuid import UUID

from psycopg.types.json import Jsonb

from cluster.bulk.entries import ImportFile, Refusal
from cluster.bulk.files import Chunk
from cluster.database import Database, Row, queries

_SQL = queries("cluster.bulk", "ledger.sql")
_PAGE = 200  # chunks

ChunkId = tuple[UUID, int]


@dataclass(frozen=True, slots=True)
class Pace:
    """How patient an import is; the defaults suit production, tests hurry."""

    lease_seconds: float = 60.0
    """How long a chunk stays with a worker that gives no sign of life. Longer than a transaction's time budget."""
    resend_seconds: float = 30.0
    """After how long a chunk that nobody claims gets a second message; doubles with each."""
    sweep_seconds: float = 30.0
    """How often each worker looks for chunks that need a message."""
    chunks_in_flight: int = 64
    """Chunks that have a message and are not done, over all imports."""
    maximum_attempts: int = 5
    """Claims after which a chunk is given up, if no worker came back from any."""


@dataclass(frozen=True, slots=True)
class Job:
    """An import as it was asked for."""

    job_id: UUID
    paths: tuple[Path, ...]
    is_walked: bool
    """Every file is in a chunk."""
    next_chunk: int


@dataclass(frozen=True, slots=True)
class ChunkOutcome:
    """What became of the files of one chunk."""

    stored: int
    already_stored: int
    refusals: tuple[Refusal, ...]


@dataclass(frozen=True, slots=True)
class Progress:
    """Sums over the chunks of a job that are in the ledger so far."""

    chunks: int
    chunks_done: int
    files: int
    stored: int
    already_stored: int
    not_dicom: int
    failed: int
    attempts: int
    """Times that a worker began a chunk."""
    chunks_held: int
    """Chunks that a worker is at now."""
    canceled: int = 0
    """1 if somebody canceled the import."""

    @property
    def files_done(self) -> int:
        """Files of the chunks that are done."""
        return self.stored + self.already_stored + self.not_dicom + self.failed


@dataclass(frozen=True, slots=True)
class Unfinished:
    """Chunks of all jobs that are not done."""

    waiting: int
    """Without a message yet."""
    sent: int
    """With a message that no worker has acted on, or whose worker is gone."""
    active: int
    """A worker is at them."""


class Ledger:
    """What one process reads and writes of the ledger."""

    def __init__(self, database: Database, pace: Pace | None = None) -> None:
        self._database = database
        self.pace = pace or Pace()

    # The command's side

    def create_job(self, job_id: UUID, paths: Sequence[Path]) -> None:
        """Remember what is to be imported, before the first chunk."""
        values = {"job_id": job_id, "paths": Jsonb([ImportFile(str(path)).to_json() for path in paths])}
        self._database.run("import_create_job", lambda cursor: cursor.execute(_SQL["create_job"], values))

    def job(self, job_id: UUID) -> Job | None:
        """The job of that id, if there is one."""
        rows = self._rows("job", {"job_id": job_id}, read_only=True)
        if not rows:
            return None
        paths, is_walked, next_chunk = rows[0]
        return Job(job_id, tuple(Path(ImportFile.from_json(path).path) for path in paths), is_walked, next_chunk)

    def add_chunk(self, job_id: UUID, number: int, chunk: Chunk) -> bool:
        """Put a chunk into the ledger; False if the number is taken by other files.

        A chunk of refusals is done with at once.
        """
        files = chunk.files or tuple(refusal.file for refusal in chunk.refusals)
        values = {
            "job_id": job_id,
            "chunk": number,
            "files": Jsonb([file.to_json() for file in files]),
            "file_count": len(files),
            "is_done": not chunk.files,
        } | _refusal_columns(chunk.refusals)
        return bool(self._rows("add_chunk", values))

    def end_walk(self, job_id: UUID) -> None:
        """Every file is in a chunk now."""
        values = {"job_id": job_id}
        self._database.run("import_end_walk", lambda cursor: cursor.execute(_SQL["end_walk"], values))

    def files(self, job_id: UUID) -> Iterator[ImportFile]:
        """All files of the chunks so far."""
        for files in self._pages("files", job_id):
            yield from map(ImportFile.from_json, files)

    def progress(self, job_id: UUID) -> Progress:
        """How far the job is."""
        (row,) = self._rows("progress", {"job_id": job_id}, read_only=True)
        return Progress(*map(int, row))

    def refusals(self, job_id: UUID) -> Iterator[Refusal]:
        """Every refused file of the chunks that are done, in the order of the walk."""
        for refused in self._pages("refusals", job_id):
            yield from map(Refusal.from_json, refused)

    def forget_messages(self, job_id: UUID) -> None:
        """Let `take_due` send every chunk of the job that is neither done nor being worked on, at once."""
        values = {"job_id": job_id}
        self._database.run("import_forget_messages", lambda cursor: cursor.execute(_SQL["forget_messages"], values))

    # Everybody's side

    def take_due(self) -> list[ChunkId]:
        """The chunks of all jobs that need a message now, marked as sent.

        The message follows after the commit; if the sender dies in between, they are due again later.
        """
        reason = f"given up: {self.pace.maximum_attempts} workers began this chunk and none finished it"
        hopeless = {"maximum_attempts": self.pace.maximum_attempts, "reason": reason}
        due = {"resend": timedelta(seconds=self.pace.resend_seconds), "window": self.pace.chunks_in_flight}

        def work(cursor: Any) -> list[Row]:
            cursor.execute(_SQL["give_up"], hopeless)
            rows: list[Row] = cursor.execute(_SQL["take_due"], due).fetchall()
            return rows

        return sorted((job_id, chunk) for job_id, chunk in self._database.run("import_take_due", work))

    def unfinished(self) -> Unfinished:
        """How much there is to do, over all jobs; cheap."""
        ((waiting, sent, active),) = self._rows("unfinished", {}, read_only=True)
        return Unfinished(waiting, sent, active)

    # The worker's side

    def claim(self, job_id: UUID, chunk: int, holder: str) -> list[ImportFile] | None:
        """The files of a chunk, leased to `holder`; None if it is done, somebody else's, or unknown.

        Args:
            holder: a name that no other run has or will have.
        """
        rows = self._rows("claim", self._lease(job_id, chunk, holder))
        return [ImportFile.from_json(file) for file in rows[0][0]] if rows else None

    def renew(self, job_id: UUID, chunk: int, holder: str) -> bool:
        """A full lease again; False if the chunk has become somebody else's."""
        return bool(self._rows("renew", self._lease(job_id, chunk, holder)))

    def give_back(self, job_id: UUID, chunk: int, holder: str) -> bool:
        """The chunk is anybody's again, at once; False if it is somebody else's already."""
        return bool(self._rows("give_back", {"job_id": job_id, "chunk": chunk, "holder": holder}))

    def complete(self, job_id: UUID, chunk: int, holder: str, outcome: ChunkOutcome) -> bool:
        """The chunk is done; False if it has become somebody else's, and then nothing is written."""
        values = {
            "job_id": job_id,
            "chunk": chunk,
            "holder": holder,
            "stored": outcome.stored,
            "already_stored": outcome.already_stored,
        } | _refusal_columns(outcome.refusals)
        return bool(self._rows("complete", values))

    def _lease(self, job_id: UUID, chunk: int, holder: str) -> dict[str, Any]:
        lease = timedelta(seconds=self.pace.lease_seconds)
        return {"job_id": job_id, "chunk": chunk, "holder": holder, "lease": lease}

    def _rows(self, query: LiteralString, values: dict[str, Any], *, read_only: bool = False) -> list[Row]:
        return self._database.run(
            f"import_{query}", lambda cursor: cursor.execute(_SQL[query], values).fetchall(), read_only=read_only
        )

    def _pages(self, query: LiteralString, job_id: UUID) -> Iterator[Any]:
        after = -1
        while rows := self._rows(query, {"job_id": job_id, "after": after, "limit": _PAGE}, read_only=True):
            after = rows[-1][0]
            for _, entries in rows:
                yield entries


def _refusal_columns(refusals: Sequence[Refusal]) -> dict[str, Any]:
    return {
        "not_dicom": sum(refusal.outcome == "not_dicom" for refusal in refusals),
        "failed": sum(refusal.outcome == "failed" for refusal in refusals),
        "refused": Jsonb([refusal.to_json() for refusal in refusals]),
    }
