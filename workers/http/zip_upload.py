"""A ZIP archive of DICOM files that is uploaded: spooled, as its directory comes last, then stored file by file.

Invariant: a file of it is stored entirely or not at all, as if it had been uploaded alone; sending the archive again
stores what is missing. What is no DICOM file is left out, as Orthanc does.
"""

import errno
import logging
import tempfile
import threading
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import IO

from cluster.bulk.archive import ERRORS, directory_bytes, looks_like_bomb, why_not_read
from cluster.errors import BadDicom, ClusterError, NodeBusy, StorageFailed, StorageFull
from cluster.ingest.commit import Staged, Stored
from cluster.ingest.intake import Intake
from cluster.ingest.origin import Origin
from workers.http.errors import BAD_FILE_FORMAT, TOO_LARGE, Refusal

_LOG = logging.getLogger(__name__)

BEGINNINGS = (b"PK\x03\x04", b"PK\x05\x06")
"""Of an archive, and of one that is empty (APPNOTE.TXT 4.3.7, 4.3.16)."""

MAXIMUM_ARCHIVE_BYTES = 4 << 30
MAXIMUM_DIRECTORY_BYTES = 16 << 20
"""Its entries are in memory all at once, at some ten times their size; enough for 100,000 files."""

SPOOLED_IN_MEMORY_BYTES = 1 << 20
PIECE_BYTES = 1 << 20
FILES_AT_A_TIME = 64

_spools = threading.BoundedSemaphore(4)
"""Archives that are taken in at a time by one process; each may need disk space for all of it."""


@dataclass
class Taken:
    """What became of several files; refused ones with the reason."""

    stored: list[Stored] = field(default_factory=list)
    refused: list[tuple[str, str]] = field(default_factory=list)

    def refuse(self, name: str, reason: str) -> None:
        """Leave a file out, and say so in the log."""
        _LOG.info("the file %r is left out: %s", name, reason)
        self.refused.append((name, reason))


def store_archive(intake: Intake, origin: Origin, pieces: Iterable[bytes], taken: Taken) -> None:
    """Store the files of the archive whose bytes are `pieces`.

    Raises:
        Refusal: 400, it cannot be read; 413, it is too large, or larger inside than it could be.
        ClusterError: some were not stored; the message says how many were.
    """
    with _spooled(pieces) as spool:
        if (size := directory_bytes(spool)) is None:
            raise Refusal(BAD_FILE_FORMAT, "the ZIP archive has no directory at its end")
        if size > MAXIMUM_DIRECTORY_BYTES:
            raise Refusal(TOO_LARGE, "the ZIP archive has too many files; use `orthanc-cluster import`")
        try:
            archive = zipfile.ZipFile(spool)
        except ERRORS as error:
            raise Refusal(BAD_FILE_FORMAT, f"the ZIP archive cannot be read: {error}") from error
        with archive:
            if looks_like_bomb(archive):
                raise Refusal(TOO_LARGE, "the ZIP archive announces more bytes than it can hold")
            _store_members(intake, origin, archive, taken)


def _store_members(intake: Intake, origin: Origin, archive: zipfile.ZipFile, taken: Taken) -> None:
    members = iter(info for info in archive.infolist() if not info.is_dir() and info.file_size > 0)
    stopped: ClusterError | None = None
    while stopped is None:
        batch: list[tuple[str, Staged]] = []
        # What was staged is stored, whatever comes of those behind it: their files have their final names.
        while len(batch) < FILES_AT_A_TIME and stopped is None and (info := next(members, None)) is not None:
            stopped = _stage(intake, origin, archive, info, batch, taken)
        if not batch:
            break
        stopped = _store(intake, batch, taken) or stopped
    if stopped is not None:
        message = f"{stopped}; {len(taken.stored)} files of the archive were stored, send it again"
        raise type(stopped)(message) from stopped


def _stage(
    intake: Intake,
    origin: Origin,
    archive: zipfile.ZipFile,
    info: zipfile.ZipInfo,
    batch: list[tuple[str, Staged]],
    taken: Taken,
) -> ClusterError | None:
    """Bring one file under its name; the error after which no other can be, either."""
    reason = why_not_read(info)
    if reason is None:
        try:
            with intake.receive(origin) as reception, archive.open(info) as member:
                while piece := member.read(PIECE_BYTES):
                    reception.write(piece)
                batch.append((info.filename, reception.stage()))
        except (BadDicom, *ERRORS) as error:
            reason = str(error) or type(error).__name__
        except ClusterError as error:
            return error
    if reason is not None:
        taken.refuse(info.filename, reason)
    return None


def _store(intake: Intake, batch: list[tuple[str, Staged]], taken: Taken) -> ClusterError | None:
    stopped: ClusterError | None = None
    outcomes = intake.store_all([staged for _, staged in batch])
    for (name, _), outcome in zip(batch, outcomes, strict=True):
        if isinstance(outcome, Stored):
            taken.stored.append(outcome)
        elif isinstance(outcome, BadDicom):
            taken.refuse(name, str(outcome))
        else:
            stopped = outcome
    return stopped


@contextmanager
def _spooled(pieces: Iterable[bytes]) -> Iterator[IO[bytes]]:
    if not _spools.acquire(blocking=False):
        raise NodeBusy("this node takes in as many ZIP archives as it can")
    try:
        with tempfile.SpooledTemporaryFile(SPOOLED_IN_MEMORY_BYTES) as spool:
            size = 0
            for piece in pieces:
                size += len(piece)
                if size > MAXIMUM_ARCHIVE_BYTES:
                    raise Refusal(TOO_LARGE, f"a ZIP archive may have {MAXIMUM_ARCHIVE_BYTES >> 30} GiB")
                _write(spool, piece)
            yield spool
    finally:
        _spools.release()


def _write(spool: IO[bytes], piece: bytes) -> None:
    try:
        spool.write(piece)
    except OSError as error:
        kind = StorageFull if error.errno in (errno.ENOSPC, errno.EDQUOT) else StorageFailed
        raise kind(f"no room for the ZIP archive in {tempfile.gettempdir()}: {error.strerror}") from error
