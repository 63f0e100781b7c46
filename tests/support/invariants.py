"""What is true of an archive whatever was done to it at the same time."""

import os
from pathlib import Path

import psycopg

EXACT = {
    "childCount": "SELECT count(*) FROM Resources r WHERE resourceType < 3 AND childCount IS DISTINCT FROM"
    " (SELECT count(*) FROM Resources c WHERE c.parentId = r.internalId)",
    "resources without children": "SELECT count(*) FROM Resources r WHERE resourceType < 3"
    " AND NOT EXISTS (SELECT FROM Resources c WHERE c.parentId = r.internalId)",
    "resources without parent": "SELECT count(*) FROM Resources r WHERE resourceType > 0"
    " AND NOT EXISTS (SELECT FROM Resources p WHERE p.internalId = r.parentId)",
    "instances without file": "SELECT count(*) FROM Resources r WHERE resourceType = 3"
    " AND (SELECT count(*) FROM AttachedFiles a WHERE a.id = r.internalId AND a.fileType = 1) <> 1",
    "resources that are not announced once": "SELECT count(*) FROM Resources r WHERE"
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


def assert_exact(connection: psycopg.Connection) -> None:
    """Trees, counters and announcements are exact, after housekeeping."""
    connection.execute("SELECT * FROM UpdateInvalidChildCounts()")
    wrong = {name: connection.execute(query).fetchone()[0] for name, query in EXACT.items()}
    assert wrong == dict.fromkeys(EXACT, 0)
    assert connection.execute("SELECT * FROM UpdateStatistics()").fetchone() == connection.execute(TOTALS).fetchone()


def rows_and_files(connection: psycopg.Connection, storage_directory: Path) -> tuple[set[str], set[str]]:
    """UUIDs that have a row, and names of files."""
    rows = {uuid for (uuid,) in connection.execute("SELECT uuid FROM AttachedFiles")}
    # Folders may vanish meanwhile, which `os.walk` does not mind.
    return rows, {name for _, _, names in os.walk(storage_directory) for name in names}
