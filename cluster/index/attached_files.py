"""Attachments of any resource, with revisions (interop/revisions.md, interop/ingest.md 12).

The bytes are durable before a row names them, and what loses its row is removed after commit (`removals.py`).
"""

from dataclasses import dataclass

import psycopg

from cluster.config.user_types import FIRST_USER_TYPE
from cluster.database import ALONE, Accompanying, Database, Row, queries
from cluster.dicom.levels import Level
from cluster.errors import RevisionConflict, UnknownResource
from cluster.index.attachments import Attachment, Compression
from cluster.index.enumerations import ChangeType
from cluster.index.limits import Limits
from cluster.index.revisions import Precondition, Version
from cluster.index.writing import lock_resource, log_change

_SQL = queries("cluster.index", "attached_files.sql")


@dataclass(frozen=True, slots=True)
class Slot:
    """The place of an attachment: there is at most one of a type on a resource."""

    level: Level
    public_id: str
    kind: int

    @property
    def values(self) -> dict[str, object]:
        """Parameters of the queries."""
        return {"level": int(self.level), "public_id": self.public_id, "type": self.kind}


@dataclass(frozen=True, slots=True)
class AttachedBytes(Attachment):
    """What a row says of the bytes, all of it."""

    compressed_md5: str

    @classmethod
    def plain(cls, uuid: str, size: int, md5: str) -> "AttachedBytes":
        """Of bytes that are stored as they are."""
        return cls(uuid, Compression.NONE, size, size, md5, md5)


@dataclass(frozen=True, slots=True)
class AttachedFile:
    """One attachment as it is now."""

    kind: int
    bytes: AttachedBytes
    revision: int

    @property
    def version(self) -> Version:
        """What its ETag names."""
        return Version(self.revision, self.bytes.md5)


def list_attachments(database: Database, level: Level, public_id: str) -> list[int]:
    """Types of a resource's attachments, ascending; raises UnknownResource."""
    values = {"public_id": public_id, "level": int(level)}
    rows = database.run(
        "list_attachments", lambda cursor: cursor.execute(_SQL["list_attachments"], values).fetchall(), read_only=True
    )
    if not rows:
        raise UnknownResource(f"no resource {public_id} of this level")
    return [kind for (kind,) in rows if kind is not None]


def read_attachment(database: Database, slot: Slot) -> AttachedFile | None:
    """The attachment of a slot; None if it is empty. Raises UnknownResource if there is no such resource."""
    row = database.run(
        "read_attachment",
        lambda cursor: cursor.execute(_SQL["read_attachment"], slot.values).fetchone(),
        read_only=True,
    )
    if row is None:
        raise UnknownResource(f"no resource {slot.public_id} of this level")
    return _attached(slot, row)


def put_attachment(
    database: Database,
    slot: Slot,
    new: AttachedBytes,
    precondition: Precondition,
    limits: Limits,
    beside: Accompanying = ALONE,
) -> Version:
    """Attach bytes that are durable, and log that as a change; the new version.

    Raises:
        UnknownResource: there is no such resource.
        RevisionConflict: something else is there than the precondition says.
        StorageFull: the archive has reached its limits.
    """

    def work(cursor: psycopg.Cursor[Row]) -> Version:
        if limits.is_set:
            _make_room(cursor, slot, new.compressed_size, limits)
        resource = lock_resource(cursor, slot.level, slot.public_id)
        while True:
            present = _locked(cursor, resource, slot)
            if present is not None and present.bytes.uuid == new.uuid:
                return present.version  # by an earlier attempt, whose answer was lost
            _refuse_second_life(cursor, new)
            revision = 0
            if present is not None:
                precondition.check(present.version)
                _remove(cursor, resource, slot)
                revision = present.revision + 1
            if _insert(cursor, resource, slot, new, revision):
                break
        log_change(cursor, ChangeType.UPDATED_ATTACHMENT, slot.level, resource)
        return Version(revision, new.md5)

    return database.run("put_attachment", work, beside=beside, turns=limits.turns)


def exchange_attachment(
    database: Database, slot: Slot, old_uuid: str, new: AttachedBytes, beside: Accompanying = ALONE
) -> bool:
    """Put another form of the same content in place of `old_uuid`; False if that is not there any more.

    The revision grows; no change is logged. Raises UnknownResource if there is nothing any more.
    """

    def work(cursor: psycopg.Cursor[Row]) -> bool:
        resource = lock_resource(cursor, slot.level, slot.public_id)
        present = _locked(cursor, resource, slot)
        if present is None:
            raise UnknownResource(f"resource {slot.public_id} has no attachment {slot.kind}")
        if present.bytes.uuid == new.uuid:
            return True
        if present.bytes.uuid != old_uuid:
            return False
        _refuse_second_life(cursor, new)
        _remove(cursor, resource, slot)
        return _insert(cursor, resource, slot, new, present.revision + 1)

    return database.run("exchange_attachment", work, beside=beside)


def delete_attachment(database: Database, slot: Slot, precondition: Precondition) -> None:
    """Delete an attachment; a change is logged for types of users.

    Raises:
        UnknownResource: there is no such resource, or the slot is empty.
        RevisionConflict: something else is there than the precondition says.
    """

    def work(cursor: psycopg.Cursor[Row]) -> None:
        resource = lock_resource(cursor, slot.level, slot.public_id)
        present = _locked(cursor, resource, slot)
        if present is None:
            raise UnknownResource(f"resource {slot.public_id} has no attachment {slot.kind}")
        precondition.check(present.version)
        _remove(cursor, resource, slot)
        if slot.kind >= FIRST_USER_TYPE:
            log_change(cursor, ChangeType.UPDATED_ATTACHMENT, slot.level, resource)

    database.run("delete_attachment", work)


def _attached(slot: Slot, row: Row | None) -> AttachedFile | None:
    return None if row is None or row[0] is None else AttachedFile(slot.kind, AttachedBytes(*row[:6]), row[6])


def _locked(cursor: psycopg.Cursor[Row], resource: int, slot: Slot) -> AttachedFile | None:
    row = cursor.execute(_SQL["lock_attachment"], {"resource": resource, "type": slot.kind}).fetchone()
    return _attached(slot, row)


def _refuse_second_life(cursor: psycopg.Cursor[Row], new: AttachedBytes) -> None:
    row = cursor.execute(_SQL["was_removed"], {"uuid": new.uuid}).fetchone()
    if row is not None and row[0]:
        # The commit was in doubt, and this becomes CommitUnknown; or the file counts as left behind by now.
        raise RevisionConflict("it was attached by an earlier attempt and replaced since, or took too long")


def _remove(cursor: psycopg.Cursor[Row], resource: int, slot: Slot) -> None:
    cursor.execute(_SQL["delete_attachment"], {"resource": resource, "type": slot.kind})
    cursor.execute(_SQL["remember_removed"])


def _insert(cursor: psycopg.Cursor[Row], resource: int, slot: Slot, new: AttachedBytes, revision: int) -> bool:
    values = {
        "resource": resource,
        "type": slot.kind,
        "uuid": new.uuid,
        "compressed_size": new.compressed_size,
        "size": new.size,
        "compression": new.compression,
        "md5": new.md5,
        "compressed_md5": new.compressed_md5,
        "revision": revision,
    }
    return cursor.execute(_SQL["insert_attachment"], values).fetchone() is not None


def _make_room(cursor: psycopg.Cursor[Row], slot: Slot, added_size: int, limits: Limits) -> None:
    kept = [row[0] for row in cursor.execute(_SQL["patient_of"], slot.values)]
    cursor.execute(_SQL["make_room"], limits.values() | {"added_size": added_size, "kept": kept})
