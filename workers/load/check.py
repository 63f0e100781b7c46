"""Compares the ledger with the archive: every acknowledged instance is there, once, with the bytes that were sent.

Both halves are looked at without the code that wrote them: rows are counted by SQL of its own, files are read where
interop/ingest.md 10 says they lie.
"""

import hashlib
import os
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Protocol

from cluster.database import Database
from cluster.dicom.levels import Level
from cluster.errors import UnknownResource
from cluster.index.check import (
    AttachmentRow,
    attachment_rows,
    attachments_without_row,
    count_resources,
    expected_resources,
    inconsistencies,
)
from cluster.storage.area import StorageArea
from workers.load.ledger import Acknowledged

_EXAMPLES = 20
_ZLIB = 2
_ZLIB_PREFIX_BYTES = 8
_PREAMBLE_BYTES = 128


@dataclass(slots=True)
class Findings:
    """What is not as it should be. The three sets hold public ids of any level, each counted once."""

    missing: set[str] = field(default_factory=set)
    """Acknowledged, and a row, change or file of it is absent."""
    duplicated: set[str] = field(default_factory=set)
    """Something of which there must be one is there more than once."""
    wrong_bytes: set[str] = field(default_factory=set)
    """The file differs from its row, or the data set from what was sent."""
    inconsistencies: list[str] = field(default_factory=list)
    """Statistics or change counter that do not agree with the tables."""
    examples: dict[str, str] = field(default_factory=dict)
    """The first finding of the first few resources, in words."""
    orphans: int | None = None
    """Files without a row, if they were counted: a node that is killed may leave some, which is no error."""

    @property
    def clean(self) -> bool:
        """Whether nothing is wrong."""
        return not (self.missing or self.duplicated or self.wrong_bytes or self.inconsistencies)

    def expect_one(self, public_id: str, number: int, what: str) -> None:
        """Note that there are `number` of `what`, where there has to be one."""
        if number == 0:
            self.missing.add(public_id)
        elif number > 1:
            self.duplicated.add(public_id)
        if number != 1:
            self.example(public_id, f"{number} times: {what}")

    def example(self, public_id: str, text: str) -> None:
        """Keep a finding in words, while there are few."""
        if len(self.examples) < _EXAMPLES:
            self.examples.setdefault(public_id, text)


class Expected(Protocol):
    """Who knows what has to be in the archive."""

    def acknowledged(self) -> Iterator[list[Acknowledged]]:
        """All of it, in batches."""


Fault = Callable[[AttachmentRow, str], str | None]
"""What is wrong with the attachment of a row, of which an MD5 of the data set was sent; as `fault_of_file`."""


def check(
    expected: Expected,
    database: Database,
    storage_directory: Path,
    *,
    count_orphans: bool = False,
    storage: StorageArea | None = None,
) -> Findings:
    """Check everything that was acknowledged.

    Args:
        storage: where the attachments are, if not in files below `storage_directory`. Then it is the area's own way
            of reading that is trusted; what it reads is compared all the same.

    Raises:
        Transient, DatabaseRefused: as `Database.run`.
        OSError, StorageFailed: the storage area cannot be read (a file that is not there is a finding).
    """
    findings = Findings()
    fault: Fault = (
        (lambda row, md5: fault_of_file(path_of(storage_directory, row.uuid), row, md5))
        if storage is None
        else (lambda row, md5: _fault_in_area(storage, row, md5))
    )
    known: set[str] = set()
    with ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="check") as readers:
        for batch in expected.acknowledged():
            _check_rows(findings, database, batch, known)
            _check_files(findings, database, fault, batch, readers)
    findings.inconsistencies = inconsistencies(database)
    if count_orphans:
        findings.orphans = sum(
            len(attachments_without_row(database, uuids)) for uuids in _batches(_stored_uuids(storage_directory))
        )
    return findings


def _check_rows(findings: Findings, database: Database, batch: Sequence[Acknowledged], known: set[str]) -> None:
    """Count rows and changes; `known` are the ancestors that were counted before."""
    expected = {
        resource.public_id: resource
        for instance in batch
        for resource in expected_resources(
            instance.patient_id,
            instance.study_instance_uid,
            instance.series_instance_uid,
            instance.sop_instance_uid,
        )
        if resource.public_id not in known
    }
    known.update(resource.public_id for resource in expected.values() if resource.level is not Level.INSTANCE)
    for count in count_resources(database, list(expected.values())):
        name = count.level.name.lower()
        findings.expect_one(count.public_id, count.rows, f"{name} below its parent")
        findings.expect_one(count.public_id, count.identified, f"{name} with its identifier")
        findings.expect_one(count.public_id, count.changes, f"change that announces the {name}")


def _check_files(
    findings: Findings,
    database: Database,
    fault_of: Fault,
    batch: Sequence[Acknowledged],
    readers: ThreadPoolExecutor,
) -> None:
    sent = {instance.public_id: instance.data_set_md5 for instance in batch}
    rows = attachment_rows(database, list(sent))
    numbers = Counter(row.instance for row in rows)
    for public_id in sent:
        findings.expect_one(public_id, numbers[public_id], "attachment 1")
    faults = readers.map(lambda row: fault_of(row, sent[row.instance]), rows)
    for row, fault in zip(rows, faults, strict=True):
        if fault is None:
            findings.missing.add(row.instance)
            findings.example(row.instance, f"no file {row.uuid}")
        elif fault:
            findings.wrong_bytes.add(row.instance)
            findings.example(row.instance, f"file {row.uuid} has {fault}")


def path_of(storage_directory: Path, uuid: str) -> Path:
    """Where Orthanc keeps an attachment (interop/ingest.md 10)."""
    return storage_directory / uuid[0:2] / uuid[2:4] / uuid


def fault_of_file(path: Path, row: AttachmentRow, data_set_md5: str) -> str | None:
    """What is wrong with the bytes of an attachment, in words; empty if nothing is, None if there is no file."""
    try:
        stored = path.read_bytes()
    except FileNotFoundError:
        return None
    return _fault_of_bytes(stored, row, data_set_md5)


def _fault_in_area(storage: StorageArea, row: AttachmentRow, data_set_md5: str) -> str | None:
    try:
        with storage.open(row.uuid) as stored:
            return _fault_of_bytes(stored.read(), row, data_set_md5)
    except UnknownResource:
        return None


def _fault_of_bytes(stored: bytes, row: AttachmentRow, data_set_md5: str) -> str:
    if len(stored) != row.compressed_size:
        return f"{len(stored)} bytes instead of {row.compressed_size}"
    if row.compressed_md5 and _md5(stored) != row.compressed_md5:
        return "another MD5 than that of the row"
    if row.compression_type == _ZLIB:
        try:
            stored = zlib.decompress(memoryview(stored)[_ZLIB_PREFIX_BYTES:])
        except zlib.error as error:
            return f"no zlib data ({error})"
        if row.uncompressed_md5 and _md5(stored) != row.uncompressed_md5:
            return "another MD5 than that of the row after decompression"
    if len(stored) != row.uncompressed_size:
        return f"{len(stored)} bytes after decompression instead of {row.uncompressed_size}"
    begin = data_set_offset(stored)
    if begin is None:
        return "no Part 10 header"
    if _md5(memoryview(stored)[begin:]) != data_set_md5:
        return "another data set than the one sent"
    return ""


def data_set_offset(stored: bytes) -> int | None:
    """Where the data set begins, behind preamble, prefix and group 0002 (PS3.10 section 7.1), or None."""
    group_length = _PREAMBLE_BYTES + 4
    # (0002,0000) with VR UL and four bytes has to come first.
    if stored[_PREAMBLE_BYTES : group_length + 8] != b"DICM\x02\x00\x00\x00UL\x04\x00":
        return None
    begin = group_length + 12
    return begin + int.from_bytes(stored[group_length + 8 : begin], "little")


def _md5(data: bytes | memoryview) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def _stored_uuids(storage_directory: Path) -> Iterator[str]:
    for _, _, names in os.walk(storage_directory):
        # Shorter names belong to somebody else.
        yield from (name for name in names if len(name) == 36)


def _batches(values: Iterable[str], size: int = 10_000) -> Iterator[list[str]]:
    iterator = iter(values)
    while batch := list(islice(iterator, size)):
        yield batch
