"""Which patient is recycled next, on an index of very many: found by an index, and the oldest one at any time."""

from collections.abc import Iterator

import psycopg
import pytest

from tests.support.indices import only_on_postgresql

pytestmark = only_on_postgresql("the queue of PostgreSQL's functions; http/test_limits.py shows the order on both")

PATIENTS = 20_000
FILL = (
    f"INSERT INTO Resources (resourceType, publicId) SELECT 0, 'patient-' || n FROM generate_series(1, {PATIENTS}) n",
    "INSERT INTO Metadata SELECT internalId, 19, nextval('PatientRecyclingOrderSequence')::text, 0"
    " FROM Resources ORDER BY internalId",
    "ANALYZE Resources",
    "ANALYZE Metadata",
)


@pytest.fixture
def connection(database_uri: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(database_uri, autocommit=True) as connection:
        for statement in FILL:
            connection.execute(statement)
        yield connection


def next_one(connection: psycopg.Connection, *kept: int) -> int | None:
    [(found,)] = connection.execute(
        "SELECT cluster.next_to_recycle(%s::text[])", ([f"patient-{number}" for number in kept],)
    )
    number = connection.execute("SELECT substr(publicId, 9)::integer FROM Resources WHERE internalId = %s", (found,))
    row = number.fetchone()
    return row[0] if row else None


def recycle(connection: psycopg.Connection, number: int) -> None:
    connection.execute("SELECT DeleteResource(internalId) FROM Resources WHERE publicId = %s", (f"patient-{number}",))


def call(connection: psycopg.Connection, function: str, number: int) -> None:
    connection.execute(f"SELECT {function}(internalId) FROM Resources WHERE publicId = %s", (f"patient-{number}",))


def pages_read(connection: psycopg.Connection) -> int:
    """Of one choice: all that it looks at, in memory or not."""
    [(plan,)] = connection.execute(
        "EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) SELECT cluster.next_to_recycle('{}')"
    ).fetchall()
    return int(plan[0]["Plan"]["Shared Hit Blocks"] + plan[0]["Plan"]["Shared Read Blocks"])


def test_order(connection: psycopg.Connection) -> None:
    assert next_one(connection) == 1
    assert next_one(connection) == 1
    assert next_one(connection, 1, 2) == 3
    recycle(connection, 1)
    call(connection, "ProtectPatient", 2)
    call(connection, "PatientAddedOrUpdated", 3)  # got an instance
    call(connection, "ProtectPatient", 4)
    call(connection, "UnprotectPatient", 4)  # goes to the end
    assert next_one(connection) == 5
    # To the very end: of many a batch, with those at last that moved, and those that came.
    connection.execute("INSERT INTO Resources (resourceType, publicId) VALUES (0, 'patient-0')")
    call(connection, "PatientAddedOrUpdated", 0)
    connection.execute(f"DELETE FROM Resources WHERE substr(publicId, 9)::integer BETWEEN 5 AND {PATIENTS}")
    for number in (3, 4, 0):
        assert next_one(connection) == number
        recycle(connection, number)
    assert next_one(connection) is None
    call(connection, "UnprotectPatient", 2)
    assert next_one(connection) == 2


def test_a_choice_does_not_read_all_patients(connection: psycopg.Connection) -> None:
    everything = pages_read(connection)  # looks for those that are next
    later = []
    for number in range(1, 50):
        recycle(connection, number)
        later.append(pages_read(connection))
    assert max(later) < 200 < everything / 20
