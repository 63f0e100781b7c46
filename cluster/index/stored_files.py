"""What rows say of files, for a comparison of all of both; and what a repair does to rows."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import psycopg

from cluster.database import Database, Row, queries
from cluster.dicom.levels import Level
from cluster.index.statistics import recount_children

_SQL = {
    **queries("cluster.index", "stored_files.sql"),
    "delete_attachment": queries("cluster.index", "attached_files.sql")["delete_attachment"],
    "remember_removed": queries("cluster.index", "attached_files.sql")["remember_removed"],
    "delete_resource": queries("cluster.index", "deletion.sql")["delete_resource"],
}

_DICOM = 1


@dataclass(frozen=True, slots=True)
class Claim:
    """What a row says of its file; `md5` is empty if there is none."""

    size: int
    md5: str


@dataclass(frozen=True, slots=True)
class NamedFile:
    """A file, and the resource whose attachment it is."""

    uuid: str
    level: Level
    public_id: str
    kind: int
    claim: Claim
    resource: int
    """Internal id."""


@dataclass(frozen=True, slots=True)
class WrongChildCount:
    """A resource whose childCount is not the number of its children, and will not become so by itself."""

    resource: int
    level: Level
    public_id: str
    stated: int
    actual: int


def count_rows(database: Database) -> int:
    """Rows of AttachedFiles."""
    return int(_read(database, "count", {})[0][0])


def claims_between(database: Database, lower: str, upper: str | None) -> dict[str, Claim]:
    """By UUID, from `lower` on and below `upper`."""
    rows = _read(database, "between", {"lower": lower, "upper": upper})
    return {uuid: Claim(size, md5) for uuid, size, md5 in rows}


def named_files(database: Database, uuids: Collection[str]) -> dict[str, NamedFile]:
    """Those of `uuids` that a row names."""
    if not uuids:
        return {}
    return {
        uuid: NamedFile(uuid, Level(level), public_id, kind, Claim(size, md5), resource)
        for uuid, level, public_id, kind, size, md5, resource in _read(database, "named", {"uuids": sorted(uuids)})
    }


def going_files(database: Database, uuids: Collection[str]) -> set[str]:
    """Those of `uuids` that lost their row, and wait to be removed."""
    return {uuid for (uuid,) in _read(database, "going", {"uuids": sorted(uuids)})} if uuids else set()


def delete_lost(database: Database, lost: NamedFile) -> bool:
    """Delete the row of a file that is lost: an attachment, or the instance that has lost its own bytes.

    False, and nothing is deleted, if another file has taken its place.
    """

    def work(cursor: psycopg.Cursor[Row]) -> bool:
        place = {"resource": lost.resource, "type": lost.kind}
        if cursor.execute(_SQL["still_named"], place | {"uuid": lost.uuid}).fetchone() is None:
            return False
        if lost.level is Level.INSTANCE and lost.kind == _DICOM:
            cursor.execute(_SQL["delete_resource"], {"level": int(lost.level), "public_id": lost.public_id})
        else:
            cursor.execute(_SQL["delete_attachment"], place)
            cursor.execute(_SQL["remember_removed"])
        return True

    return database.run("delete_lost", work)


def wrong_child_counts(database: Database, after: int, limit: int) -> tuple[list[WrongChildCount], int | None]:
    """Of the `limit` resources behind internal id `after`; and the last of them, None if there is none."""
    found = []
    last = None
    for resource, level, public_id, stated, actual, is_wrong in _read(
        database, "wrong_child_counts", {"after": after, "limit": limit}
    ):
        if public_id == "":
            last = resource
        elif is_wrong:
            found.append(WrongChildCount(resource, Level(level), public_id, stated, actual))
    return found, last


def correct_child_counts(database: Database, wrong: Collection[WrongChildCount]) -> None:
    """Have these counted again."""
    values = {"ids": [resource.resource for resource in wrong]}
    database.run("count_again", lambda cursor: cursor.execute(_SQL["count_again"], values).rowcount)
    recount_children(database)


def _read(database: Database, query: str, values: Mapping[str, object]) -> list[Row]:
    return database.run(
        f"compare_{query}", lambda cursor: cursor.execute(_SQL[query], values).fetchall(), read_only=True
    )
