"""What is above and below a resource."""

from collections.abc import Iterator
from dataclasses import dataclass

from cluster.database import Database, Row, queries
from cluster.dicom.levels import Level
from cluster.errors import UnknownResource
from cluster.index.attachments import Attachment

_SQL = queries("cluster.index", "tree.sql")

FILES_PER_PAGE = 5_000


@dataclass(frozen=True, slots=True)
class TreeStatistics:
    """Of a resource and everything below it; sizes in bytes."""

    compressed_size: int
    size: int
    dicom_compressed_size: int
    dicom_size: int
    studies: int
    series: int
    instances: int


def ancestor(database: Database, level: Level, public_id: str, wanted: Level) -> str | None:
    """Public id of the resource of level `wanted` above one of `level` (or of that itself); None if it is unknown."""
    values = {"public_id": public_id, "level": int(level), "wanted": int(wanted)}
    rows = _read(database, "ancestor", values)
    return rows[0][0] if rows else None


def exists(database: Database, level: Level, public_id: str) -> bool:
    """Whether there is such a resource."""
    return ancestor(database, level, public_id, level) is not None


def statistics_below(database: Database, level: Level, public_id: str) -> TreeStatistics | None:
    """Sizes and numbers of a resource; None if it is unknown."""
    rows = _read(database, "statistics", {"public_id": public_id, "level": int(level)})
    return TreeStatistics(*rows[0]) if rows else None


def files_below(
    database: Database, level: Level, public_id: str, limit: int | None = None
) -> Iterator[tuple[str, Attachment]]:
    """Instances below a resource (or itself) with their DICOM files, ascending by public id.

    Raises:
        UnknownResource: there is none, at the first step.
    """
    after, left = "", limit
    while left is None or left > 0:
        wanted = FILES_PER_PAGE if left is None else min(FILES_PER_PAGE, left)
        values = {"public_id": public_id, "level": int(level), "after": after, "limit": wanted}
        rows = _read(database, "files", values)
        if not rows and not after and not exists(database, level, public_id):
            raise UnknownResource(f"no resource {public_id} of this level")
        for instance, *attachment in rows:
            yield instance, Attachment(*attachment)
        if len(rows) < wanted:
            return
        after = rows[-1][0]
        left = None if left is None else left - len(rows)


def _read(database: Database, name: str, values: dict[str, object]) -> list[Row]:
    return database.run(f"tree_{name}", lambda cursor: cursor.execute(_SQL[name], values).fetchall(), read_only=True)
