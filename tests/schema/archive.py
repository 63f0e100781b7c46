"""A small archive written as the plugin of each revision writes it, and what can be said of it at any revision."""

from collections.abc import Iterator
from typing import Any

import psycopg

# Patient → series of each of its studies → instances of each series.
SHAPE = {"p1": [[2, 1], [3]], "p2": [[1]], "p3": [[2, 2, 2]], "p4": [[1], [1], [4]], "p5": [[1]]}
PROTECTED = {"p2", "p4"}
RECYCLING_ORDER = ["p3", "p5", "p1"]
"""p1 got another instance at the end."""
STATISTICS = [(0, 2000), (1, 5000), (2, 5), (3, 8), (4, 11), (5, 20)]


def fill(connection: psycopg.Connection, revision: int) -> None:
    """Patients protected and not, all kinds of rows, a deletion, statistics and child counts that wait."""
    connection.execute("SET search_path TO public")
    for public_ids in _instances():
        store(connection, *public_ids)
    for patient in PROTECTED:
        _protect(connection, revision, patient)
    store(connection, "p1", "p1.0", "p1.0.0", "p1.0.0.late")
    _delete(connection, revision, "p3.0.2.0")
    if revision >= 5:
        connection.execute("UPDATE AttachedFiles SET customData = 'c' WHERE uuid = 'uuid p5.0.0.0'")
        connection.execute("INSERT INTO KeyValueStores (storeId, key, value) VALUES ('s', 'k', 'v')")
        connection.execute("INSERT INTO Queues (queueId, value) VALUES ('q', 'one'), ('q', 'two')")
    if revision >= 6:
        connection.execute(
            "INSERT INTO AuditLogs (sourcePlugin, userId, resourceType, resourceId, action)"
            " VALUES ('a', 'u', 3, 'i', 'x')"
        )


def _instances() -> Iterator[tuple[str, str, str, str]]:
    for patient, studies in SHAPE.items():
        for study, series in enumerate(studies):
            for number, instances in enumerate(series):
                for instance in range(instances):
                    series_id = f"{patient}.{study}.{number}"
                    yield patient, f"{patient}.{study}", series_id, f"{series_id}.{instance}"


def store(connection: psycopg.Connection, *public_ids: str) -> None:
    """One instance by what every revision has, in the order of a plugin; part of the caller's transaction."""
    row = connection.execute("SELECT * FROM CreateInstance(%s, %s, %s, %s)", public_ids).fetchone()
    assert row is not None
    is_new, internal_ids = row[:4], row[4:]
    assert is_new[3] == 1
    for level, internal_id in enumerate(internal_ids):
        if is_new[level]:
            _describe(connection, internal_id, level, public_ids[level])
    # By position, as the plugins do: those that know fewer columns give fewer values.
    connection.execute(
        "INSERT INTO AttachedFiles VALUES (%s, 1, %s, 100, 250, 2, 'u', 'c', 0)",
        (internal_ids[3], f"uuid {public_ids[3]}"),
    )


def _describe(connection: psycopg.Connection, internal_id: int, level: int, public_id: str) -> None:
    connection.execute("INSERT INTO MainDicomTags VALUES (%s, 16, 16, %s)", (internal_id, f"name {public_id}"))
    connection.execute("INSERT INTO DicomIdentifiers VALUES (%s, 16, 32, %s)", (internal_id, public_id))
    connection.execute("INSERT INTO Metadata VALUES (%s, 7, '20240101T000000', NULL)", (internal_id,))
    connection.execute("INSERT INTO Metadata VALUES (%s, 2000, 'mine', 3)", (internal_id,))
    connection.execute("INSERT INTO Changes VALUES (DEFAULT, %s, %s, %s, 'd')", (level, internal_id, level))
    if level == 1:
        connection.execute("INSERT INTO Labels VALUES (%s, 'checked')", (internal_id,))
        connection.execute(
            "INSERT INTO ExportedResources VALUES (DEFAULT, 1, %s, 'remote', 'p', 's', NULL, NULL, 'd')", (public_id,)
        )


def _protect(connection: psycopg.Connection, revision: int, patient: str) -> None:
    [internal_id] = connection.execute("SELECT internalId FROM Resources WHERE publicId = %s", (patient,)).fetchone()
    if revision >= 6:
        connection.execute("SELECT ProtectPatient(%s)", (internal_id,))
    else:
        connection.execute("DELETE FROM PatientRecyclingOrder WHERE patientId = %s", (internal_id,))


def _delete(connection: psycopg.Connection, revision: int, public_id: str) -> None:
    [internal_id] = connection.execute("SELECT internalId FROM Resources WHERE publicId = %s", (public_id,)).fetchone()
    if revision >= 2:
        connection.execute("SELECT * FROM DeleteResource(%s)", (internal_id,))
        connection.execute("DISCARD TEMP")
    else:
        connection.execute("DELETE FROM Resources WHERE internalId = %s", (internal_id,))
        # Only of use within the plugin's transaction.
        connection.execute("DELETE FROM DeletedFiles; DELETE FROM RemainingAncestor; DELETE FROM DeletedResources")


def contents(connection: psycopg.Connection, revision: int) -> dict[str, Any]:
    """What an archive says of itself, in the same words at every revision."""

    def rows(query: str) -> list[tuple[Any, ...]]:
        return connection.execute(query).fetchall()

    pending = "(SELECT coalesce(sum(value), 0) FROM GlobalIntegersChanges c WHERE c.key = g.key)"
    found: dict[str, Any] = {
        "resources": rows("SELECT internalId, resourceType, publicId, parentId FROM Resources ORDER BY 1"),
        "tags": rows("SELECT id, tagGroup, tagElement, value FROM MainDicomTags ORDER BY 1, 2, 3"),
        "identifiers": rows("SELECT id, tagGroup, tagElement, value FROM DicomIdentifiers ORDER BY 1, 2, 3"),
        "metadata": rows("SELECT id, type, value, revision FROM Metadata WHERE type NOT IN (18, 19) ORDER BY 1, 2"),
        "attachments": rows(
            "SELECT id, fileType, uuid, compressedSize, uncompressedSize, compressionType, uncompressedHash,"
            " compressedHash, revision FROM AttachedFiles ORDER BY 1, 2"
        ),
        "labels": rows("SELECT id, label FROM Labels ORDER BY 1, 2"),
        "changes": rows("SELECT seq, changeType, internalId, resourceType, date FROM Changes ORDER BY 1"),
        "exported": rows("SELECT seq, publicId, remoteModality, date FROM ExportedResources ORDER BY 1"),
        "last change": rows("SELECT value FROM GlobalIntegers WHERE key = 6"),
        "statistics": rows(
            f"SELECT key, (value + {pending if revision >= 2 else '0'})::bigint FROM GlobalIntegers g"
            " WHERE key BETWEEN 0 AND 5 ORDER BY key"
        ),
    }
    if revision >= 6:
        protected = "SELECT r.publicId FROM Metadata m JOIN Resources r ON r.internalId = m.id WHERE type = 18"
        order = (
            "SELECT r.publicId FROM Metadata m JOIN Resources r ON r.internalId = m.id WHERE m.type = 19 AND NOT EXISTS"
            " (SELECT FROM Metadata p WHERE p.id = m.id AND p.type = 18 AND p.value = 'true') ORDER BY m.value::integer"
        )
    else:
        protected = (
            "SELECT r.publicId FROM Resources r WHERE r.resourceType = 0"
            " AND r.internalId NOT IN (SELECT patientId FROM PatientRecyclingOrder)"
        )
        order = "SELECT publicId FROM PatientRecyclingOrder JOIN Resources ON internalId = patientId ORDER BY seq"
    found["protected"] = {name for (name,) in rows(protected)}
    found["recycling order"] = [name for (name,) in rows(order)]
    return found


def housekeep(connection: psycopg.Connection, revision: int) -> None:
    """What nodes do in the background, until nothing is left."""
    if revision >= 2:
        connection.execute("SELECT * FROM UpdateStatistics()")
    if revision >= 3:
        while connection.execute("SELECT ComputeMissingChildCount(3)").fetchone() != (0,):
            pass
    if revision >= 4:
        connection.execute("SELECT UpdateInvalidChildCounts()")


def wrong_child_counts(connection: psycopg.Connection) -> list[tuple[Any, ...]]:
    """Resources whose child count is not what it should be; instances may have none."""
    return connection.execute(
        "SELECT r.publicId, r.childCount, c.number FROM Resources r"
        " CROSS JOIN LATERAL (SELECT count(*) AS number FROM Resources k WHERE k.parentId = r.internalId) AS c"
        " WHERE r.childCount IS DISTINCT FROM c.number AND (r.resourceType < 3 OR r.childCount IS NOT NULL)"
    ).fetchall()


def checksums(connection: psycopg.Connection) -> dict[str, str]:
    """One sum over all rows of each table; without the numbers of rows that only wait for housekeeping, and without
    the place of a protected patient, which nobody reads (interop/enumerations.md)."""
    tables = connection.execute(
        "SELECT relname FROM pg_class WHERE relkind = 'r'"
        " AND relnamespace = quote_ident(current_schema())::regnamespace ORDER BY 1"
    ).fetchall()
    sums = {}
    for (table,) in tables:
        removed = "'pk', 'updatedat'" if table in ("invalidchildcounts", "globalintegerschanges") else ""
        where = (
            "WHERE t.type <> 19 OR NOT EXISTS (SELECT FROM Metadata p WHERE p.id = t.id AND p.type = 18)"
            if table == "metadata"
            else ""
        )
        query = (
            f"SELECT count(*) || ' ' || coalesce(md5(string_agg(line, '|' ORDER BY line)), '') FROM"
            f" (SELECT (to_jsonb(t) - ARRAY[{removed}]::text[])::text AS line FROM {table} t {where}) AS lines"
        )
        [sums[table]] = connection.execute(query).fetchone()
    return sums
