"""What is true of an archive whatever was done to it at the same time."""

import os
from collections.abc import Set
from pathlib import Path

import psycopg

from tests.support.indices import SqliteSession

ANNOUNCED = "resources that are not announced once"

EXACT = {
    "childCount": "SELECT count(*) FROM Resources r WHERE resourceType < 3 AND childCount IS DISTINCT FROM"
    " (SELECT count(*) FROM Resources c WHERE c.parentId = r.internalId)",
    "resources without children": "SELECT count(*) FROM Resources r WHERE resourceType < 3"
    " AND NOT EXISTS (SELECT FROM Resources c WHERE c.parentId = r.internalId)",
    "resources without parent": "SELECT count(*) FROM Resources r WHERE resourceType > 0"
    " AND NOT EXISTS (SELECT FROM Resources p WHERE p.internalId = r.parentId)",
    "instances without file": "SELECT count(*) FROM Resources r WHERE resourceType = 3"
    " AND (SELECT count(*) FROM AttachedFiles a WHERE a.id = r.internalId AND a.fileType = 1) <> 1",
    ANNOUNCED: "SELECT count(*) FROM Resources r WHERE"
    " (SELECT count(*) FROM Changes c WHERE c.internalId = r.internalId"
    "  AND c.changeType = (ARRAY[3, 5, 4, 2])[r.resourceType + 1]) <> 1",
    "last change beyond the log": "SELECT count(*) FROM GlobalIntegers g WHERE g.key = 6"
    " AND g.value < (SELECT coalesce(max(seq), 0) FROM Changes)",
}

TOTALS = (
    "SELECT (SELECT count(*) FROM Resources WHERE resourceType = 0), (SELECT count(*) FROM Resources WHERE"
    " resourceType = 1), (SELECT count(*) FROM Resources WHERE resourceType = 2), (SELECT count(*) FROM Resources WHERE"
    " resourceType = 3), coalesce(sum(compressedSize), 0)::bigint, coalesce(sum(uncompressedSize), 0)::bigint"
    " FROM AttachedFiles"
)


def assert_exact(connection: psycopg.Connection, *, announced: bool = True) -> None:
    """Trees, counters and announcements are exact, after housekeeping.

    Args:
        announced: false where somebody has deleted the log of changes.
    """
    names = EXACT.keys() if announced else EXACT.keys() - {ANNOUNCED}
    if isinstance(connection, SqliteSession):
        _assert_exact_in_sqlite(connection, names)
        return
    connection.execute("SELECT * FROM UpdateInvalidChildCounts()")
    wrong = {name: connection.execute(EXACT[name]).fetchone()[0] for name in names}
    assert wrong == dict.fromkeys(names, 0)
    assert connection.execute("SELECT * FROM UpdateStatistics()").fetchone() == connection.execute(TOTALS).fetchone()


def _assert_exact_in_sqlite(session: SqliteSession, names: Set[str]) -> None:
    # Neither child counts nor a number of the last change are stored there.
    names = names - {"childCount", "last change beyond the log"}
    queries = {name: EXACT[name].replace("SELECT FROM", "SELECT 1 FROM") for name in names}
    queries = {
        name: query.replace(
            "(ARRAY[3, 5, 4, 2])[r.resourceType + 1]", "json_extract('[3,5,4,2]', '$[' || r.resourceType || ']')"
        )
        for name, query in queries.items()
    }
    wrong = {name: session.execute(query).fetchone()[0] for name, query in queries.items()}
    assert wrong == dict.fromkeys(names, 0)
    sizes = "SELECT coalesce(sum(compressedSize), 0), coalesce(sum(uncompressedSize), 0) FROM AttachedFiles"
    stated = [value for (value,) in session.execute("SELECT value FROM GlobalIntegers WHERE key < 2 ORDER BY key")]
    assert tuple(stated) == session.execute(sizes).fetchone()


def rows_and_files(connection: psycopg.Connection, storage_directory: Path) -> tuple[set[str], set[str]]:
    """UUIDs that have a row, and names of files."""
    rows = {uuid for (uuid,) in connection.execute("SELECT uuid FROM AttachedFiles")}
    # Folders may vanish meanwhile, which `os.walk` does not mind.
    return rows, {name for _, _, names in os.walk(storage_directory) for name in names}
