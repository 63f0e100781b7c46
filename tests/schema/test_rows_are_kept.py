"""Upgrades and downgrades of archives with something in them: nothing is lost, order and protection stay."""

import pytest

from cluster.schema.downgrade import downgrade
from cluster.schema.upgrade import upgrade_offline
from tests.schema.archive import (
    PROTECTED,
    RECYCLING_ORDER,
    STATISTICS,
    checksums,
    contents,
    housekeep,
    wrong_child_counts,
)
from tests.support.catalogue import catalogue

OLDER = [0, 1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("revision", OLDER)
def test_upgrade_keeps_every_row(index, revision):
    connection = index(revision, filled=True)
    before = contents(connection, revision)
    # Given: an archive that is what the test thinks it is
    assert before["protected"] == PROTECTED
    assert before["statistics"] == STATISTICS
    upgrade_offline(connection, "public", "test")
    connection.execute("SET search_path TO public")
    assert contents(connection, 10) == before
    housekeep(connection, 10)
    assert contents(connection, 10) == before
    assert wrong_child_counts(connection) == []
    assert connection.execute("SELECT count(*) FROM InvalidChildCounts").fetchone() == (0,)
    assert connection.execute("SELECT count(*) FROM GlobalIntegersChanges").fetchone() == (0,)


@pytest.mark.parametrize("revision", [1, 2, 3, 4, 5, 6])
def test_recycling_goes_on_where_it_was(index, revision):
    connection = index(revision, filled=True)
    assert contents(connection, revision)["recycling order"] == RECYCLING_ORDER
    upgrade_offline(connection, "public", "test")
    connection.execute("SET search_path TO public")
    connection.execute("SELECT * FROM CreateInstance('p3', 'p3.0', 'p3.0.0', 'new')")
    connection.execute("SELECT * FROM CreateInstance('p9', 'p9.0', 'p9.0.0', 'newer')")
    connection.execute("SELECT UnprotectPatient(internalId) FROM Resources WHERE publicId = 'p2'")
    assert contents(connection, 10)["recycling order"] == [*RECYCLING_ORDER[1:], RECYCLING_ORDER[0], "p9", "p2"]
    # and back: the new numbers are behind the old ones here too
    downgrade(connection, "public", revision, discard=True)
    assert contents(connection, revision)["recycling order"] == ["p5", "p1", "p3", "p9", "p2"]
    assert contents(connection, revision)["protected"] == {"p4"}
    connection.execute("SELECT * FROM CreateInstance('p5', 'p5.0', 'p5.0.0', 'newest')")
    assert contents(connection, revision)["recycling order"] == ["p1", "p3", "p9", "p2", "p5"]


@pytest.mark.parametrize(("source", "target"), [(1, 2), (2, 3), (2, 5), (1, 6)])
def test_an_upgrade_may_end_in_between(index, source, target):
    connection = index(source, filled=True)
    upgrade_offline(connection, "public", "test", target)
    connection.execute("SET search_path TO public")
    connection.execute("SELECT * FROM CreateInstance('p3', 'p3.0', 'p3.0.0', 'new')")
    connection.execute("SELECT * FROM CreateInstance('p9', 'p9.0', 'p9.0.0', 'newer')")
    assert contents(connection, target)["recycling order"] == ["p5", "p1", "p3", "p9"]
    assert contents(connection, target)["protected"] == PROTECTED


@pytest.mark.parametrize("revision", [1, 2, 3, 4, 5, 6])
def test_downgrade_and_upgrade_end_where_they_began(index, revision):
    connection = index(10, filled=True)
    # Given: what the older revision has no place for is given up, and nothing waits for housekeeping
    if revision < 6:
        connection.execute("TRUNCATE AuditLogs")
    if revision < 5:
        connection.execute("TRUNCATE KeyValueStores, Queues RESTART IDENTITY")
        connection.execute("UPDATE AttachedFiles SET customData = NULL")
    connection.execute("SET search_path TO public")
    housekeep(connection, 10)
    connection.execute("UPDATE Resources SET childCount = NULL WHERE resourceType = 3")
    rows, structure = checksums(connection), catalogue(connection)
    before = contents(connection, 10)
    # When
    downgrade(connection, "public", revision)
    assert contents(connection, revision) == before
    upgrade_offline(connection, "public", "test")
    # Then
    connection.execute("SET search_path TO public")
    housekeep(connection, 10)
    assert checksums(connection) == rows
    assert catalogue(connection) - structure == {}


@pytest.mark.parametrize("revision", [1, 2, 3, 4, 5, 6])
def test_upgrade_and_downgrade_end_where_they_began(index, revision):
    connection = index(revision, filled=True)
    connection.execute("SET search_path TO public")
    housekeep(connection, revision)
    rows, structure = checksums(connection), catalogue(connection)
    upgrade_offline(connection, "public", "test")
    connection.execute("SET search_path TO public")
    housekeep(connection, 10)
    downgrade(connection, "public", revision)
    housekeep(connection, revision)
    assert checksums(connection) == rows
    ignored = ("body", "trigger level") if revision == 1 else ()
    assert {kind: lines for kind, lines in (catalogue(connection) - structure).items() if kind not in ignored} == {}


def test_6_5_6_and_10_6_10(index):
    for upper, lower in ((6, 5), (10, 6)):
        connection = index(upper, filled=True)
        connection.execute("TRUNCATE AuditLogs")
        connection.execute("SET search_path TO public")
        rows, structure = checksums(connection), catalogue(connection)
        for _ in range(2):
            downgrade(connection, "public", lower)
            upgrade_offline(connection, "public", "test", upper)
        assert checksums(connection) == rows
        assert catalogue(connection) - structure == {}


@pytest.mark.parametrize("revision", [1, 2, 3, 4, 5, 6])
def test_a_downgraded_archive_works_at_the_older_revision(index, revision):
    connection = index(10, filled=True)
    downgrade(connection, "public", revision, discard=True)
    connection.execute("SET search_path TO public")
    row = connection.execute("SELECT * FROM CreateInstance('p5', 'p5.0', 'new series', 'new')").fetchone()
    assert row[:4] == (0, 0, 1, 1)
    connection.execute(
        "INSERT INTO AttachedFiles (id, fileType, uuid, compressedSize, uncompressedSize, compressionType)"
        " VALUES (%s, 1, 'new', 1, 2, 1)",
        (row[7],),
    )
    after = contents(connection, revision)
    assert after["statistics"] == [(0, 2001), (1, 5002), (2, 5), (3, 8), (4, 12), (5, 21)]
    housekeep(connection, revision)
    assert contents(connection, revision) == after
    if revision >= 3:
        assert wrong_child_counts(connection) == []
    [patient] = connection.execute("SELECT internalId FROM Resources WHERE publicId = 'p5'").fetchone()
    with connection.transaction():
        if revision >= 2:
            remaining = connection.execute("SELECT * FROM DeleteResource(%s)", (row[7],)).fetchone()
            assert remaining == (None, None)  # the series went with its only instance
            assert connection.execute("SELECT uuid FROM DeletedFiles").fetchall() == [("new",)]
            assert connection.execute("SELECT publicId FROM DeletedResources").fetchall() == [("new",), ("new series",)]
            connection.execute("SELECT * FROM DeleteResource(%s)", (patient,))
        else:
            connection.execute("DELETE FROM Resources WHERE internalId = %s", (row[7],))
            assert connection.execute("SELECT publicId FROM RemainingAncestor").fetchall() == [("p5.0",)]
            assert connection.execute("SELECT uuid FROM DeletedFiles").fetchall() == [("new",)]
            connection.execute("DELETE FROM Resources WHERE internalId = %s", (patient,))
    assert contents(connection, revision)["statistics"] == [(0, 1900), (1, 4750), (2, 4), (3, 7), (4, 10), (5, 19)]
    housekeep(connection, revision)
    if revision >= 3:
        assert wrong_child_counts(connection) == []


def test_child_counts_that_revision_3_got_wrong_are_cured(index):
    connection = index(3, filled=True)
    # Given: what the plugin's trigger writes where nobody had counted (interop/schema.md 6)
    connection.execute("UPDATE Resources SET childCount = 1 WHERE publicId = 'p4'")
    upgrade_offline(connection, "public", "test")
    connection.execute("SET search_path TO public")
    housekeep(connection, 10)
    assert wrong_child_counts(connection) == []


def test_recycling_numbers_that_orthanc_could_not_read_are_made_small(index):
    connection = index(5, filled=True)
    connection.execute("UPDATE PatientRecyclingOrder SET seq = seq + 5000000000")
    upgrade_offline(connection, "public", "test")
    connection.execute("SET search_path TO public")
    assert contents(connection, 10)["recycling order"] == RECYCLING_ORDER
    connection.execute("SELECT * FROM CreateInstance('p3', 'p3.0', 'p3.0.0', 'new')")
    assert contents(connection, 10)["recycling order"] == ["p5", "p1", "p3"]
