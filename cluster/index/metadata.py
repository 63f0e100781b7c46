"""Metadata of a resource, with revisions (interop/revisions.md, interop/enumerations.md)."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import psycopg

from cluster.database import Database, Row, queries
from cluster.dicom.levels import Level
from cluster.errors import UnknownResource
from cluster.index.enumerations import ChangeType
from cluster.index.revisions import Precondition, Version
from cluster.index.writing import lock_resource, log_change

_SQL = queries("cluster.index", "metadata.sql")


@dataclass(frozen=True, slots=True)
class MetadataValue:
    """One value as it is now."""

    value: str
    revision: int

    @property
    def version(self) -> Version:
        """What its ETag names."""
        return version_of(self.value, self.revision)


def version_of(value: str, revision: int) -> Version:
    """Version of a value."""
    return Version(revision, hashlib.md5(value.encode(), usedforsecurity=False).hexdigest())


def list_metadata(database: Database, level: Level, public_id: str) -> Mapping[int, str]:
    """All metadata of a resource by type, ascending.

    Raises:
        UnknownResource: there is no such resource.
    """
    values = {"public_id": public_id, "level": int(level)}
    rows = database.run(
        "list_metadata", lambda cursor: cursor.execute(_SQL["list_metadata"], values).fetchall(), read_only=True
    )
    if not rows:
        raise UnknownResource(f"no resource {public_id} of this level")
    return {kind: value or "" for kind, value in rows if kind is not None}


def read_metadata(database: Database, level: Level, public_id: str, kind: int) -> MetadataValue | None:
    """One metadata; None if the resource has none of that type.

    Raises:
        UnknownResource: there is no such resource.
    """
    values = {"public_id": public_id, "level": int(level), "type": kind}
    row = database.run(
        "read_metadata", lambda cursor: cursor.execute(_SQL["read_metadata"], values).fetchone(), read_only=True
    )
    if row is None:
        raise UnknownResource(f"no resource {public_id} of this level")
    found, value, revision = row
    return None if found is None else MetadataValue(value or "", revision)


def put_metadata(
    database: Database, level: Level, public_id: str, kind: int, value: str, precondition: Precondition
) -> Version:
    """Write one metadata and its change; the new version.

    Raises:
        UnknownResource: there is no such resource.
        RevisionConflict: something else is there than the precondition says.
    """

    def work(cursor: psycopg.Cursor[Row]) -> Version:
        resource = lock_resource(cursor, level, public_id)
        values = {"resource": resource, "type": kind, "value": value}
        while True:
            present = _locked(cursor, resource, kind)
            if present is not None:
                precondition.check(present.version)
                revision = present.revision + 1
                cursor.execute(_SQL["update_metadata"], values | {"revision": revision})
                break
            # Another session may write the first value between our look and our insert; then that is what is there.
            if cursor.execute(_SQL["insert_metadata"], values).fetchone() is not None:
                revision = 0
                break
        log_change(cursor, ChangeType.UPDATED_METADATA, level, resource)
        return version_of(value, revision)

    return database.run("put_metadata", work)


def delete_metadata(database: Database, level: Level, public_id: str, kind: int, precondition: Precondition) -> None:
    """Delete one metadata, and log that as a change.

    Raises:
        UnknownResource: there is no such resource, or it has no such metadata.
        RevisionConflict: something else is there than the precondition says.
    """

    def work(cursor: psycopg.Cursor[Row]) -> None:
        resource = lock_resource(cursor, level, public_id)
        present = _locked(cursor, resource, kind)
        if present is None:
            raise UnknownResource(f"resource {public_id} has no metadata {kind}")
        precondition.check(present.version)
        cursor.execute(_SQL["delete_metadata"], {"resource": resource, "type": kind})
        log_change(cursor, ChangeType.UPDATED_METADATA, level, resource)

    database.run("delete_metadata", work)


def _locked(cursor: psycopg.Cursor[Row], resource: int, kind: int) -> MetadataValue | None:
    row = cursor.execute(_SQL["lock_metadata"], {"resource": resource, "type": kind}).fetchone()
    return None if row is None else MetadataValue(row[0] or "", row[1])
