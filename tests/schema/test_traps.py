"""Databases on which Orthanc's own procedure fails or says nothing (interop/schema.md 9, 12)."""

import psycopg
import pytest

from cluster.errors import LockNotAvailable, SchemaMismatch
from cluster.schema import migration, steps
from cluster.schema import revision as revision_module
from cluster.schema.downgrade import downgrade
from cluster.schema.install import CLUSTER_VERSION, install_database
from cluster.schema.revision import Finding, Observation, observe
from cluster.schema.upgrade import upgrade_offline
from tests.schema.archive import STATISTICS, checksums, contents, housekeep, wrong_child_counts
from tests.schema.conftest import at_revision
from tests.schema.test_same_catalogue import KEYS_ADDED_LAST
from tests.support.catalogue import catalogue


@pytest.mark.parametrize("revision", [0, 1, 2, 3, 4, 5, 6])
def test_every_older_revision_is_recognised(index, revision):
    assert observe(index(revision), "public") == Observation(Finding.OLDER, revision)


def test_empty_exact_and_no_schema(index):
    assert observe(index(None), "public").finding is Finding.EMPTY
    assert observe(index(None), "absent").finding is Finding.NO_SCHEMA
    assert observe(index(10, fresh=True), "public") == Observation(Finding.EXACT, 10)


@pytest.mark.parametrize(
    ("statement", "finding", "words"),
    [
        ("UPDATE GlobalProperties SET value = '11' WHERE property = 4", Finding.NEWER, "revision 11"),
        ("UPDATE GlobalProperties SET value = '8' WHERE property = 4", Finding.FOREIGN, "8"),
        ("UPDATE GlobalProperties SET value = ' 10' WHERE property = 4", Finding.FOREIGN, "' 10'"),
        ("UPDATE GlobalProperties SET value = '5' WHERE property = 1", Finding.FOREIGN, "property 1"),
        ("DELETE FROM GlobalProperties WHERE property = 4", Finding.FOREIGN, "property 4"),
        ("DELETE FROM GlobalProperties WHERE property = 1", Finding.FOREIGN, "missing"),
        ("DROP TABLE GlobalProperties", Finding.FOREIGN, "GlobalProperties"),
        ("DROP TABLE Resources CASCADE", Finding.FOREIGN, "Resources"),
    ],
)
def test_what_is_not_ours_to_change_is_refused_and_left_alone(index, statement, finding, words):
    connection = index(10, fresh=True)
    connection.execute(statement)
    seen = observe(connection, "public")
    assert seen.finding is finding
    assert words in seen.explain("public")
    if finding is Finding.NEWER:
        assert "revision 10" in seen.explain("public")
    connection.execute("SET search_path TO public")
    before = checksums(connection) if words != "Resources" else None
    for change in (lambda: upgrade_offline(connection, "public", "test"), lambda: downgrade(connection, "public", 6)):
        with pytest.raises(SchemaMismatch):
            change()
    assert before is None or checksums(connection) == before


@pytest.mark.parametrize("asked_before", ["globalproperties", "resources"])
def test_an_installation_that_commits_in_the_middle_of_a_look_is_no_half_index(
    empty_database, monkeypatch, asked_before
):
    has = revision_module._has
    installed = []

    def install_after(connection, schema_name, table):
        answer = has(connection, schema_name, table)
        if table == asked_before and not installed:
            installed.append(table)  # before it asks, too
            install_database(empty_database)
        return answer

    monkeypatch.setattr(revision_module, "_has", install_after)
    with psycopg.connect(empty_database, autocommit=True) as connection:
        seen = observe(connection, "public")
    assert installed
    # Who was too early for all of it looks again under the lock
    assert seen.finding in (Finding.EXACT, Finding.EMPTY)


@pytest.mark.parametrize("lost", ["plugin 3.3", "plugin 2.2"])
def test_database_of_an_old_plugin_that_says_revision_1(index, lost):
    connection = index(1, filled=True)
    connection.execute("ALTER TABLE Metadata DROP COLUMN revision")
    connection.execute("ALTER TABLE AttachedFiles DROP COLUMN revision")
    connection.execute("DROP TABLE ServerProperties, Labels")
    if lost == "plugin 2.2":
        for table, trigger in (
            ("AttachedFiles", "AttachedFileIncrementSize"),
            ("AttachedFiles", "AttachedFileDecrementSize"),
            ("Resources", "CountResourcesTracker"),
            ("Changes", "InsertedChange"),
        ):
            connection.execute(f"DROP TRIGGER {trigger} ON {table}")
            connection.execute(f"DROP FUNCTION {trigger}Func")
        connection.execute("DROP TABLE GlobalIntegers")
        connection.execute("DROP FUNCTION CreateInstance")
        connection.execute("DROP INDEX DicomIdentifiersIndexValues2")
        connection.execute("DELETE FROM GlobalProperties WHERE property NOT IN (1, 4)")
    assert observe(connection, "public") == Observation(Finding.OLDER, 0)
    upgrade_offline(connection, "public", "test")
    connection.execute("SET search_path TO public")
    after = contents(connection, 10)
    assert after["statistics"] == STATISTICS
    assert after["last change"] == [(connection.execute("SELECT max(seq) FROM Changes").fetchone()[0],)]
    assert len(after["attachments"]) == 20
    housekeep(connection, 10)
    assert wrong_child_counts(connection) == []
    assert catalogue(connection) - catalogue(index(10, fresh=True)) == KEYS_ADDED_LAST


def test_leftovers_of_orthancs_own_downgrades(index):
    """10 → 6, 6 → 5, 4 → 3 and 3 → 2 by hand leave objects behind (interop/schema.md 13)."""
    fresh = catalogue(index(10, fresh=True))
    for revision, leftovers in {
        6: ["ALTER TABLE Queues ADD COLUMN reservedUntil bigint"],
        5: [
            "ALTER TABLE Queues ADD COLUMN reservedUntil bigint",
            "CREATE INDEX InvalidChildCountsId ON InvalidChildCounts (id)",
            "CREATE FUNCTION PatientAddedOrUpdated(patient_id bigint) RETURNS void LANGUAGE sql AS ''",
            "DELETE FROM GlobalProperties WHERE property = 11",
            "INSERT INTO GlobalIntegers (key, value) VALUES (7, 100)",
        ],
        3: [
            "CREATE TABLE InvalidChildCounts (id bigint REFERENCES Resources (internalId) ON DELETE CASCADE,"
            " updatedAt timestamp DEFAULT now())",
            "CREATE INDEX InvalidChildCountsId ON InvalidChildCounts (id)",
            "CREATE FUNCTION UpdateInvalidChildCounts(OUT updated_rows_count bigint) LANGUAGE sql"
            " AS 'SELECT 1::bigint'",
            "DELETE FROM GlobalProperties WHERE property = 11",
        ],
        2: [
            "DROP INDEX ChildrenIndex",
            "CREATE INDEX ChildrenIndex2 ON Resources (parentId) INCLUDE (publicId, internalId)",
            "CREATE INDEX DicomIdentifiersIndex3 ON DicomIdentifiers (tagGroup, tagElement, value)",
            "CREATE FUNCTION ComputeStatisticsReadOnly(statistics_key integer, OUT accumulated_value bigint)"
            " LANGUAGE sql AS 'SELECT 1::bigint'",
            "CREATE FUNCTION CountResourcesTrackerFunc() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN END'",
            "INSERT INTO GlobalIntegers (key, value) VALUES (7, 100) ON CONFLICT DO NOTHING",
        ],
    }.items():
        connection = index(revision, filled=True)
        for statement in leftovers:
            connection.execute(statement)
        before = contents(connection, revision)
        upgrade_offline(connection, "public", "test")
        assert catalogue(connection) - fresh == KEYS_ADDED_LAST, revision
        assert contents(connection, 10) == before


def test_schema_other_than_public_beside_another_index_in_public(index):
    connection = index(1, filled=True)
    connection.execute('CREATE SCHEMA "Archive-2"')
    connection.execute("SET search_path TO public")
    public = checksums(connection)
    at_revision(connection, "Archive-2", 1)
    connection.execute("SELECT * FROM CreateInstance('p', 's', 'r', 'i')")
    # When: up, down and up again
    upgrade_offline(connection, "Archive-2", "test")
    assert catalogue(connection, "Archive-2") - catalogue(index(10, fresh=True)) == KEYS_ADDED_LAST
    downgrade(connection, "Archive-2", 1)
    assert observe(connection, "Archive-2").revision == 1
    upgrade_offline(connection, "Archive-2", "test")
    # Then
    assert connection.execute('SELECT count(*) FROM "Archive-2".Resources').fetchone() == (4,)
    connection.execute("SET search_path TO public")
    assert checksums(connection) == public
    assert observe(connection, "public").revision == 1


@pytest.mark.parametrize("direction", ["upgrade", "downgrade"])
def test_a_failure_at_any_part_leaves_everything_as_it_was(index, monkeypatch, direction):
    source, target = (1, 10) if direction == "upgrade" else (10, 1)
    connection = index(source, filled=True)
    connection.execute("SET search_path TO public")
    rows, structure = checksums(connection), catalogue(connection)

    def change():
        if direction == "upgrade":
            upgrade_offline(connection, "public", "test")
        else:
            downgrade(connection, "public", target, discard=True)

    # One file of each part: the drop of functions, each step, the new functions.
    for broken in dict(steps.scripts(source, target)).values():
        monkeypatch.setattr(
            migration, "text", lambda name, broken=broken: steps.text(name) + ("SELECT 1/0;" if name == broken else "")
        )
        with pytest.raises(psycopg.errors.DivisionByZero):
            change()
    connection.execute("SET search_path TO public")
    assert checksums(connection) == rows
    assert catalogue(connection) - structure == {}
    assert observe(connection, "public").revision == source


@pytest.mark.parametrize(("key", "words"), [(44, "set-up lock"), (42, "Lock")])
def test_a_running_orthanc_is_noticed(index, key, words):
    connection = index(6)
    with psycopg.connect(connection.info.dsn, password=connection.info.password, autocommit=True) as orthanc:
        orthanc.execute("SELECT pg_advisory_lock(%s)", (key,))
        with pytest.raises(LockNotAvailable, match=words):
            upgrade_offline(connection, "public", "test")
    assert observe(connection, "public").revision == 6


def test_rows_without_a_place_are_not_thrown_away_silently(index):
    connection = index(10, filled=True)
    connection.execute("SET search_path TO public")
    before = checksums(connection)
    with pytest.raises(SchemaMismatch, match="1 rows of auditlogs by 6 → 5, 1 rows of keyvaluestores by 5 → 4"):
        downgrade(connection, "public", 4)
    assert checksums(connection) == before
    assert downgrade(connection, "public", 4, discard=True) == ["10 → 6", "6 → 5", "5 → 4"]


def test_history_tells_what_was_done(index):
    connection = index(4)
    done = upgrade_offline(connection, "public", "node-7")
    assert done == ["4 → 5", "5 → 6", "6 → 10", f"install cluster {CLUSTER_VERSION}"]
    history = connection.execute("SELECT step, node FROM cluster.schema_history ORDER BY pk").fetchall()
    assert history == [(step, "node-7") for step in done]
    assert upgrade_offline(connection, "public", "node-7") == []
