"""Compares the ledger with the archive: every acknowledged instance is there, once, with the bytes that were sent.

Both halves are looked at without the code that wrote them: rows are counted by SQL of its own, files are read where
interop/ingest.md 10 says they lie.
"""

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Protocol

from cluster.database import Database
from cluster.dicom.levels import Level
from cluster.index.check import (
    AttachmentRow,
    ExpectedResource,
    attachment_rows,
    count_resources,
    expected_resources,
    inconsistencies,
)
from cluster.index.left_files import attachments_without_row
from cluster.storage.area import StorageArea
from workers.load.delivery import Acknowledged
from workers.load.stored_file import fault_in_area, fault_of_file, path_of

_EXAMPLES = 20


@dataclass(slots=True)
class Findings:
    """What is not as it should be. The sets hold public ids of any level, each counted once."""

    missing: set[str] = field(default_factory=set)
    """Acknowledged, and a row, change or file of it is absent."""
    duplicated: set[str] = field(default_factory=set)
    """Something of which there must be one is there more than once."""
    wrong_bytes: set[str] = field(default_factory=set)
    """The file differs from its row, or the data set from what was sent."""
    not_deleted: set[str] = field(default_factory=set)
    """Deleted with success, and still there."""
    inconsistencies: list[str] = field(default_factory=list)
    """Statistics or change counter that do not agree with the tables."""
    examples: dict[str, str] = field(default_factory=dict)
    """The first finding of the first few resources, in words."""
    unchecked: str = ""
    """What could not be looked at, in words."""
    orphans: int | None = None
    """Files without a row, if they were counted: a node that is killed may leave some, which is no error."""

    @property
    def clean(self) -> bool:
        """Whether nothing is wrong."""
        wrong = self.missing or self.duplicated or self.wrong_bytes or self.not_deleted or self.inconsistencies
        return not wrong

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


Fault = Callable[[AttachmentRow, Acknowledged], str | None]
"""What is wrong with the attachment of a row, of which this was sent; as `fault_of_file`."""


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
        (lambda row, sent: fault_of_file(path_of(storage_directory, row.uuid), row, sent))
        if storage is None
        else (lambda row, sent: fault_in_area(storage, row, sent))
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
        for resource in _resources(instance)
        if resource.public_id not in known
    }
    known.update(resource.public_id for resource in expected.values() if resource.level is not Level.INSTANCE)
    for count in count_resources(database, list(expected.values())):
        name = count.level.name.lower()
        findings.expect_one(count.public_id, count.rows, f"{name} below its parent")
        # A patient without an id is known by the public id alone.
        if expected[count.public_id].identifier:
            findings.expect_one(count.public_id, count.identified, f"{name} with its identifier")
        findings.expect_one(count.public_id, count.changes, f"change that announces the {name}")


def _check_files(
    findings: Findings,
    database: Database,
    fault_of: Fault,
    batch: Sequence[Acknowledged],
    readers: ThreadPoolExecutor,
) -> None:
    sent = {instance.public_id: instance for instance in batch}
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


def check_deleted(findings: Findings, deleted: Iterable[Sequence[Acknowledged]], database: Database) -> None:
    """Check that nothing of these is in the index.

    Raises:
        Transient, DatabaseRefused: as `Database.run`.
    """
    for batch in deleted:
        found = attachment_rows(database, [instance.public_id for instance in batch])
        _note_not_deleted(findings, {row.instance for row in found})
        instances = [resource for each in batch for resource in _resources(each) if resource.level is Level.INSTANCE]
        _note_not_deleted(findings, {count.public_id for count in count_resources(database, instances) if count.rows})


def _note_not_deleted(findings: Findings, public_ids: Iterable[str]) -> None:
    for public_id in public_ids:
        findings.not_deleted.add(public_id)
        findings.example(public_id, "was deleted with success, and is there")


def _resources(instance: Acknowledged) -> Iterator[ExpectedResource]:
    return expected_resources(
        instance.patient_id, instance.study_instance_uid, instance.series_instance_uid, instance.sop_instance_uid
    )


def _stored_uuids(storage_directory: Path) -> Iterator[str]:
    for _, _, names in os.walk(storage_directory):
        # Shorter names belong to somebody else.
        yield from (name for name in names if len(name) == 36)


def _batches(values: Iterable[str], size: int = 10_000) -> Iterator[list[str]]:
    iterator = iter(values)
    while batch := list(islice(iterator, size)):
        yield batch
