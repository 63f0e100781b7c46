"""Counts in the index what has to be there exactly once. For tests and the load generator: nothing here writes."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import psycopg

from cluster.database import Database, Row, queries
from cluster.dicom.levels import Level
from cluster.dicom.main_tags import normalise_identifier
from cluster.dicom.public_ids import public_ids
from cluster.index.enumerations import ChangeType

_SQL = queries("cluster.index", "check.sql")

# The identifier that names a resource of each level, and the change that announces it (interop/tags.md, ingest.md 2).
_TAG = {
    Level.PATIENT: (0x0010, 0x0020),
    Level.STUDY: (0x0020, 0x000D),
    Level.SERIES: (0x0020, 0x000E),
    Level.INSTANCE: (0x0008, 0x0018),
}
_CHANGE = {
    Level.PATIENT: ChangeType.NEW_PATIENT,
    Level.STUDY: ChangeType.NEW_STUDY,
    Level.SERIES: ChangeType.NEW_SERIES,
    Level.INSTANCE: ChangeType.NEW_INSTANCE,
}
_STATISTICS = ("compressed bytes", "uncompressed bytes", "patients", "studies", "series", "instances")


@dataclass(frozen=True, slots=True)
class ExpectedResource:
    """A resource that has to be in the index once; `parent` is a public id, `identifier` the DICOM value."""

    level: Level
    public_id: str
    parent: str | None
    identifier: str


@dataclass(frozen=True, slots=True)
class ResourceCount:
    """How often a resource was found; each number has to be 1."""

    level: Level
    public_id: str
    rows: int
    """Resources of this public id and level below the right parent."""
    identified: int
    """Resources of this level that bear its DICOM identifier."""
    changes: int
    """Changes that announced it as new."""


@dataclass(frozen=True, slots=True)
class AttachmentRow:
    """The DICOM file of an instance as AttachedFiles describes it; hashes may be empty."""

    instance: str
    uuid: str
    compression_type: int
    compressed_size: int
    uncompressed_size: int
    compressed_md5: str
    uncompressed_md5: str


def expected_resources(patient_id: str, study_uid: str, series_uid: str, sop_uid: str) -> Iterator[ExpectedResource]:
    """The instance of these identifiers and the three resources above it, from the patient down."""
    ids = public_ids(patient_id, study_uid, series_uid, sop_uid)
    yield ExpectedResource(Level.PATIENT, ids.patient, None, patient_id)
    yield ExpectedResource(Level.STUDY, ids.study, ids.patient, study_uid)
    yield ExpectedResource(Level.SERIES, ids.series, ids.study, series_uid)
    yield ExpectedResource(Level.INSTANCE, ids.instance, ids.series, sop_uid)


def count_resources(database: Database, expected: Sequence[ExpectedResource]) -> list[ResourceCount]:
    """Count each expected resource; what was deleted from Changes on purpose cannot be told from what was lost.

    Raises:
        Transient, DatabaseRefused: as `Database.run`.
    """
    values = {
        "levels": [int(resource.level) for resource in expected],
        "public_ids": [resource.public_id for resource in expected],
        "parents": [resource.parent for resource in expected],
        "tag_groups": [_TAG[resource.level][0] for resource in expected],
        "tag_elements": [_TAG[resource.level][1] for resource in expected],
        "identifiers": [normalise_identifier(resource.identifier) for resource in expected],
        "change_types": [int(_CHANGE[resource.level]) for resource in expected],
    }
    return [
        ResourceCount(Level(level), public_id, rows, identified, changes)
        for level, public_id, rows, identified, changes in _read(database, "resources", values)
    ]


def attachment_rows(database: Database, instances: Sequence[str]) -> list[AttachmentRow]:
    """The rows of attachment 1 of instances, given by public id: one each, if all is well.

    Raises:
        Transient, DatabaseRefused: as `Database.run`.
    """
    return [AttachmentRow(*row) for row in _read(database, "attachments", {"instances": list(instances)})]


@dataclass(frozen=True, slots=True)
class WrongTotal:
    """A total that the index says of itself and that its tables do not bear out."""

    name: str
    actual: int
    stated: int | None


def wrong_totals(database: Database) -> list[WrongTotal]:
    """Statistics that differ from the tables, in one snapshot. Reads both tables as a whole.

    Raises:
        Transient, DatabaseRefused: as `Database.run`.
    """
    return [
        WrongTotal(_STATISTICS[key], actual, stated)
        for key, actual, stated in _read(database, "statistics", {})
        if stated != actual
    ]


def correct_totals(database: Database) -> int:
    """Make the statistics what the tables are, beside whoever writes; returns how many were wrong."""

    def work(cursor: psycopg.Cursor[Row]) -> int:
        cursor.execute(_SQL["correct_alone"])
        return cursor.execute(_SQL["correct_statistics"]).rowcount

    return database.run("correct_statistics", work)


def wrong_last_change(database: Database) -> str | None:
    """What is wrong with the counter of changes, in words; None if it is right.

    It may be ahead of the newest change, whose resource was deleted since, but neither behind it nor ahead of every
    number ever drawn.
    """
    for newest, stated, drawn in _read(database, "last_change", {}):
        if stated is None or not newest <= stated <= drawn:
            return f"the last change is said to be {stated}; the newest is {newest}, the last drawn {drawn}"
    return None


def inconsistencies(database: Database) -> list[str]:
    """What the index says of itself and is not so, one sentence each: the statistics, and the last change.

    Raises:
        Transient, DatabaseRefused: as `Database.run`.
    """
    found = [f"statistics say {it.stated} {it.name}, the tables {it.actual}" for it in wrong_totals(database)]
    last_change = wrong_last_change(database)
    return [*found, last_change] if last_change else found


def tree_faults(database: Database) -> list[str]:
    """What is wrong with the trees of resources, one sentence each; child counts have to be settled already.

    Raises:
        Transient, DatabaseRefused: as `Database.run`.
    """
    return [f"{number} {what}" for what, number in _read(database, "tree", {}) if number]


def unsettled(database: Database) -> int:
    """Child counts that housekeeping has yet to do, and files of deleted resources that nobody has claimed.

    Those that a dead process has claimed are waited for by nobody: that takes as long as a lease, a minute.

    Raises:
        Transient, DatabaseRefused: as `Database.run`.
    """
    ((number,),) = _read(database, "unsettled", {})
    return int(number)


def change_numbers(database: Database, since: int, batch: int = 100_000) -> Iterator[int]:
    """The numbers of all changes after `since` that the log still holds, in order.

    Raises:
        Transient, DatabaseRefused: as `Database.run`.
    """
    while rows := _read(database, "change_numbers", {"since": since, "batch": batch}):
        for (since,) in rows:
            yield since


def stored_files(database: Database, batch: int = 50_000) -> Iterator[tuple[str, int]]:
    """UUID and size in bytes of every attachment, read in pieces while others write.

    Raises:
        Transient, DatabaseRefused: as `Database.run`.
    """
    after = (-1, -1)
    while rows := _read(database, "stored_files", {"id": after[0], "type": after[1], "batch": batch}):
        for *key, uuid, size in rows:
            after = (key[0], key[1])
            yield uuid, size


def _read(database: Database, query: str, values: dict[str, object]) -> list[Row]:
    return database.run(f"check_{query}", lambda cursor: cursor.execute(_SQL[query], values).fetchall(), read_only=True)
