"""What a worker process does with one chunk: claim it, take its files in, say what became of them.

Invariant: the outcome is written by the run that holds the lease, once, when every file of the chunk has an outcome
that would be the same next time. Anything that time may cure (Transient) leaves the chunk unfinished instead; its lease
ends and another run takes it, which is safe because public ids make a second store of a file harmless.
"""

import logging
import os
import time
import uuid
from collections.abc import Callable
from typing import Literal
from uuid import UUID

from cluster import telemetry
from cluster.bulk.entries import ImportFile, Refusal
from cluster.bulk.ledger import ChunkOutcome, Ledger, Pace
from cluster.bulk.reading import Reader, UnreadableError
from cluster.config import Settings
from cluster.errors import ClusterError, MissingIdentifier, NotDicom, Transient
from cluster.ingest.commit import Staged
from cluster.ingest.intake import Intake, open_intake
from cluster.ingest.origin import Origin

_LOG = logging.getLogger(__name__)

ORIGIN = Origin("RestApi", http_username="")
"""Orthanc's own way of importing folders is a script that posts each file, and readers of the index know that origin.
There is no peer, so RemoteIP is not written rather than invented (interop/ingest.md, "Origins")."""

# (0002,0002) of a DICOMDIR: Media Storage Directory Storage (PS3.10 8.6, PS3.6 A).
_DIRECTORY = b"\x02\x00\x02\x00UI\x14\x001.2.840.10008.1.3.10"
_DIRECTORY_WITHIN = 512


Outcome = Literal["done", "nothing_to_do", "lease_lost", "put_off", "given_back"]
"""What became of a message about a chunk."""


class _LeaseLostError(Exception):
    """Somebody else has the chunk now."""


class _GiveBackError(Exception):
    """This process ends before the chunk can be done."""


class ChunkWorker:
    """One worker process: its intake, opened after fork, and its ledger."""

    def __init__(self, settings: Settings, pace: Pace, is_ending: Callable[[], bool] = lambda: False) -> None:
        """
        Args:
            is_ending: whether a chunk in hand shall be given back; asked before each piece of a file.
        """
        self._settings = settings
        self._pace = pace
        self._is_ending = is_ending
        self._intake: Intake | None = None
        self._owner = -1

    def open(self) -> Intake:
        """Open pool and storage area of this process unless they are open.

        Raises:
            StorageFailed: the storage directory cannot be used.
        """
        if self._intake is None or self._owner != os.getpid():
            self._intake = open_intake(self._settings)
            self._owner = os.getpid()
        return self._intake

    def close(self) -> None:
        """Let go of them."""
        if self._intake is not None and self._owner == os.getpid():
            self._intake.close()
        self._intake = None

    def ledger(self) -> Ledger:
        """The ledger through this process's pool."""
        return Ledger(self.open().database, self._pace)

    def work(self, job_id: UUID, chunk: int) -> Outcome:
        """Do a chunk if it is nobody's."""
        ledger = self.ledger()
        holder = f"{self._settings.cluster.node_name}/{os.getpid()}/{uuid.uuid4()}"
        try:
            files = ledger.claim(job_id, chunk, holder)
            if files is None:
                _LOG.debug("chunk %d of import %s is done or somebody else's", chunk, job_id)
                return "nothing_to_do"
            lease = _Lease(ledger, job_id, chunk, holder, self._is_ending)
            outcome = _Run(self.open(), lease, self._settings.cluster.node_name).do(files)
            if not ledger.complete(job_id, chunk, holder, outcome):
                raise _LeaseLostError
        except _LeaseLostError:
            _LOG.warning(
                "chunk %d of import %s was taken back: paused, canceled, or it took longer than its lease",
                chunk,
                job_id,
            )
            return "lease_lost"
        except _GiveBackError:
            ledger.give_back(job_id, chunk, holder)
            _LOG.info("chunk %d of import %s is left to another worker: this one ends", chunk, job_id)
            return "given_back"
        except Transient as error:
            _LOG.warning("chunk %d of import %s will be tried again: %s", chunk, job_id, error)
            return "put_off"
        _count(outcome)
        return "done"


class _Lease:
    """Keeps the claim alive while work goes on."""

    def __init__(
        self, ledger: Ledger, job_id: UUID, chunk: int, holder: str, is_ending: Callable[[], bool] = lambda: False
    ) -> None:
        self._ledger = ledger
        self._is_ending = is_ending
        self._chunk = (job_id, chunk, holder)
        self._renewed = time.monotonic()

    def keep(self) -> None:
        """Renew when a third of the lease has passed, and at least every second, which is how long a pause or a
        cancellation may go unnoticed; raises _LeaseLostError, _GiveBackError."""
        if self._is_ending():
            raise _GiveBackError
        if time.monotonic() - self._renewed > min(self._ledger.pace.lease_seconds / 3, 1):
            if not self._ledger.renew(*self._chunk):
                raise _LeaseLostError
            self._renewed = time.monotonic()


class _Run:
    """One pass over the files of a chunk."""

    def __init__(self, intake: Intake, lease: _Lease, worker: str) -> None:
        self._intake = intake
        self._lease = lease
        self._worker = worker
        self._refusals: list[Refusal] = []

    def do(self, files: list[ImportFile]) -> ChunkOutcome:
        """Read and parse every file, then store all of them together."""
        staged: list[tuple[ImportFile, Staged]] = []
        try:
            with Reader(self._worker) as reader:
                for file in files:
                    instance = self._stage(reader, file)
                    if instance is not None:
                        staged.append((file, instance))
            self._lease.keep()
        except BaseException:
            for _, instance in staged:
                instance.attachment.discard()
            raise
        return self._store(staged)

    def _stage(self, reader: Reader, file: ImportFile) -> Staged | None:
        is_directory = False
        try:
            with self._intake.receive(ORIGIN) as reception:
                for number, piece in enumerate(reader.pieces(file)):
                    if number == 0:
                        is_directory = _DIRECTORY in piece[:_DIRECTORY_WITHIN]
                    self._lease.keep()
                    reception.write(piece)
                return reception.stage()
        except (_LeaseLostError, _GiveBackError, Transient):
            raise
        except MissingIdentifier as error:
            if is_directory:
                self._refuse(file, NotDicom("a DICOMDIR lists instances and is none"))
            else:
                self._refuse(file, error)
        except (ClusterError, UnreadableError) as error:
            self._refuse(file, error)
        except Exception as error:
            # One odd file must not take the others of its chunk with it.
            _LOG.exception("import of %r failed for a reason nobody foresaw", file.path)
            self._refuse(file, error)
        return None

    def _store(self, staged: list[tuple[ImportFile, Staged]]) -> ChunkOutcome:
        statuses: list[str] = []
        outcomes = self._intake.store_all([instance for _, instance in staged])
        for (file, _), outcome in zip(staged, outcomes, strict=True):
            if isinstance(outcome, Transient):
                raise outcome
            if isinstance(outcome, ClusterError):
                self._refuse(file, outcome)
            else:
                statuses.append(outcome.status)
        return ChunkOutcome(statuses.count("Success"), statuses.count("AlreadyStored"), tuple(self._refusals))

    def _refuse(self, file: ImportFile, error: Exception) -> None:
        is_known = isinstance(error, ClusterError | UnreadableError)
        reason = str(error) if is_known else f"unexpected {type(error).__name__}: {error}"
        self._refusals.append(Refusal(file, "not_dicom" if isinstance(error, NotDicom) else "failed", reason))


def _count(outcome: ChunkOutcome) -> None:
    telemetry.import_files.labels("stored").inc(outcome.stored)
    telemetry.import_files.labels("already_stored").inc(outcome.already_stored)
    for refusal in outcome.refusals:
        telemetry.import_files.labels(refusal.outcome).inc()
