"""Deletes resources, with everything below them and every ancestor that they leave empty (interop/ingest.md 11)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import psycopg

from cluster.database import Database, Row, queries
from cluster.dicom.levels import Level
from cluster.errors import UnknownResource
from cluster.failpoints import failpoint

_SQL = queries("cluster.index", "deletion.sql")


@dataclass(frozen=True, slots=True)
class RemainingAncestor:
    """The direct parent of what was deleted, if it has other children."""

    level: Level
    public_id: str


def delete_resource(database: Database, level: Level, public_id: str) -> RemainingAncestor | None:
    """Delete one resource; its files are removed later (`cluster.ingest.removal`).

    Raises:
        UnknownResource: there is none, or another session deleted it first.
        Transient: not done within the retry budget; CommitUnknown if it may have been.
    """

    def work(cursor: psycopg.Cursor[Row]) -> RemainingAncestor | None:
        row = cursor.execute(_SQL["delete_resource"], {"level": int(level), "public_id": public_id}).fetchone()
        is_found, remaining_level, remaining_id = row or (False, None, None)
        if not is_found:
            # Raised in here: after an attempt whose commit is in doubt it means that, not that there was nothing.
            raise UnknownResource(f"no resource {public_id} of this level")
        return None if remaining_id is None else RemainingAncestor(Level(remaining_level), remaining_id)

    remaining = database.run("delete_resource", work)
    failpoint("resource_deleted")
    return remaining


def levels_of(database: Database, public_ids: Sequence[str]) -> Mapping[str, Level]:
    """Levels by public id; without unknown ones."""
    values = {"public_ids": list(public_ids)}
    rows = database.run("levels", lambda cursor: cursor.execute(_SQL["levels"], values).fetchall(), read_only=True)
    return {public_id: Level(level) for public_id, level in rows}
