"""Writes a batch of instances to the index in one call and one round trip.

Resources are numbered level by level and, within a level, by public id: the order in which the call locks them
(design rule "one lock order"). What an ancestor gets when it is new is taken from the first instance of the batch
that is below it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from cluster.database import ALONE, Accompanying, Database, queries
from cluster.dicom.header import DicomInstance
from cluster.dicom.levels import Level
from cluster.dicom.main_tags import TagValue
from cluster.index.attached_files import AttachedBytes
from cluster.index.enumerations import AttachmentType
from cluster.index.limits import UNLIMITED, Limits

_SQL = queries("cluster.index", "store_instances.sql")

Metadata = Mapping[int, str | None]
"""Type → value; None stands for the time of the transaction."""


@dataclass(frozen=True, slots=True)
class InstanceRows:
    """One instance as the index will hold it."""

    instance: DicomInstance
    file: AttachedBytes
    """Attachment 1."""
    metadata: tuple[Metadata, Metadata, Metadata, Metadata]
    """By level: what a resource gets when it is created, besides LastUpdate and the recycling order."""


@dataclass(frozen=True, slots=True)
class StoreResult:
    """What became of a batch."""

    outcomes: Mapping[str, str]
    """Public id of the instance → ``Success`` or ``AlreadyStored``."""
    removed: Sequence[str]
    """UUIDs of attachments that lost their row to overwriting; their files may go now."""
    seconds: float = 0.0
    """How long the index took for the rows, without the commit and the way there and back."""


def store_instances(
    database: Database,
    overwrite: str,
    batch: Sequence[InstanceRows],
    limits: Limits = UNLIMITED,
    beside: Accompanying = ALONE,
) -> StoreResult:
    """Store a batch, in which no instance may occur twice, as one transaction.

    Args:
        overwrite: ``Never``, ``Always`` or ``IfChanged`` (option OverwriteInstances).
        limits: of the archive; where there is one, batches of the whole cluster are stored one at a time.
        beside: what the storage area does in the same transaction.

    Raises:
        Transient: the batch could not be stored within the retry budget; CommitUnknown if it may have been.
        DatabaseRefused, StorageFull: PostgreSQL said no, or the archive has reached its limits.
    """
    values: dict[str, object] = {**_columns(batch, database), "overwrite": overwrite}
    name_of_call = "store_instances"
    if limits.is_set:
        name_of_call = "store_within_limits"
        values |= limits.values()
    outcomes: dict[str, str] = {}
    removed: list[str] = []
    statement = _SQL[name_of_call]
    rows = database.call(name_of_call, statement, values, beside, turns=limits.turns)
    for outcome, name, _ in rows:
        if outcome == "Removed":
            removed.append(name)
        else:
            outcomes[name] = outcome
    return StoreResult(outcomes, removed, seconds=rows[-1][2] if rows else 0.0)


@dataclass(slots=True)
class _Resource:
    public_id: str
    parent: str | None
    rows: InstanceRows
    number: int = field(default=0)


def _columns(batch: Sequence[InstanceRows], database: Database) -> dict[str, object]:
    integers, texts = database.arrays
    levels = _resources(batch)
    numbered = [(level, resource) for level in Level for resource in levels[level].values()]
    for number, (_, resource) in enumerate(numbered, start=1):
        resource.number = number

    def parent_number(level: Level, resource: _Resource) -> int:
        return 0 if resource.parent is None else levels[Level(level - 1)][resource.parent].number

    instances = levels[Level.INSTANCE].values()
    tags = [(resource.number, tag) for level, resource in numbered for tag in _main_tags(level, resource.rows.instance)]
    identifiers = [
        (resource.number, tag) for level, resource in numbered for tag in resource.rows.instance.identifiers[level]
    ]
    metadata = [
        (resource.number, kind, value)
        for level, resource in numbered
        for kind, value in resource.rows.metadata[level].items()
    ]
    # Orthanc judges completeness by the tags of the instance just stored: the last one of the batch here.
    expected = {
        rows.instance.public_ids.series: rows.instance.expected_instances
        for rows in batch
        if rows.instance.expected_instances is not None
    }
    return {
        "resource_levels": integers(int(level) for level, _ in numbered),
        "resource_public_ids": texts(resource.public_id for _, resource in numbered),
        "resource_parents": integers(parent_number(level, resource) for level, resource in numbered),
        "tag_resources": integers(number for number, _ in tags),
        "tag_groups": integers(tag.group for _, tag in tags),
        "tag_elements": integers(tag.element for _, tag in tags),
        "tag_values": texts(tag.value for _, tag in tags),
        "identifier_resources": integers(number for number, _ in identifiers),
        "identifier_groups": integers(tag.group for _, tag in identifiers),
        "identifier_elements": integers(tag.element for _, tag in identifiers),
        "identifier_values": texts(tag.value for _, tag in identifiers),
        "metadata_resources": integers(number for number, _, _ in metadata),
        "metadata_types": integers(int(kind) for _, kind, _ in metadata),
        "metadata_values": texts(value for _, _, value in metadata),
        "attachment_resources": integers(resource.number for resource in instances),
        "attachment_types": integers(int(AttachmentType.DICOM) for _ in instances),
        "attachment_uuids": texts(resource.rows.file.uuid for resource in instances),
        "attachment_sizes": integers(resource.rows.file.size for resource in instances),
        "attachment_hashes": texts(resource.rows.file.md5 for resource in instances),
        "attachment_forms": integers(int(resource.rows.file.compression) for resource in instances),
        "attachment_stored_sizes": integers(resource.rows.file.compressed_size for resource in instances),
        "attachment_stored_hashes": texts(resource.rows.file.compressed_md5 for resource in instances),
        "expected_resources": integers(levels[Level.SERIES][series].number for series in expected),
        "expected_counts": integers(expected.values()),
    }


def _resources(batch: Sequence[InstanceRows]) -> dict[Level, dict[str, _Resource]]:
    levels: dict[Level, dict[str, _Resource]] = {level: {} for level in Level}
    for rows in batch:
        ids = rows.instance.public_ids
        parent = None
        for level, public_id in zip(Level, (ids.patient, ids.study, ids.series, ids.instance), strict=True):
            if level is Level.INSTANCE and public_id in levels[level]:
                raise ValueError(f"instance {public_id} occurs twice in a batch")
            levels[level].setdefault(public_id, _Resource(public_id, parent, rows))
            parent = public_id
    return {level: dict(sorted(resources.items())) for level, resources in levels.items()}


def _main_tags(level: Level, instance: DicomInstance) -> tuple[TagValue, ...]:
    # A study repeats the main tags of its patient (interop/tags.md 1).
    return instance.main_tags[level] + (instance.main_tags[Level.PATIENT] if level is Level.STUDY else ())
