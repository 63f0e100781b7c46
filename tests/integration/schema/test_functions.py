"""The functions and triggers that Orthanc's plugins rely on, called as they call them (interop/schema.md 6, 7)."""

import psycopg
import pytest


@pytest.fixture
def sql(database_uri):
    with psycopg.connect(database_uri, autocommit=True) as connection:
        yield lambda query, *values: connection.execute(query, values).fetchall()


def create(sql, *public_ids):
    return sql("SELECT * FROM CreateInstance(%s, %s, %s, %s)", *public_ids)[0]


def statistics(sql):
    return [sql("SELECT accumulated_value FROM ComputeStatisticsReadOnly(%s)", key)[0][0] for key in range(6)]


@pytest.fixture
def tree(sql):
    """Patient p with study s: series r1 with instances i1 and i2, series r2 with i3. Public id → internal id."""
    for series, instance in (("r1", "i1"), ("r1", "i2"), ("r2", "i3")):
        row = create(sql, "p", "s", series, instance)
        sql(
            "INSERT INTO AttachedFiles VALUES (%s, 1, %s, 100, 200, 2, 'u', 'c', 0, NULL) RETURNING id",
            row[7],
            f"uuid-{instance}",
        )
    return dict(sql("SELECT publicId, internalId FROM Resources"))


def test_create_instance_names_its_results(sql):
    names = sql(
        "SELECT unnest(proargnames) FROM pg_proc WHERE proname = 'createinstance'",
    )
    assert [name for (name,) in names] == [
        "patient_public_id",
        "study_public_id",
        "series_public_id",
        "instance_public_id",
        "is_new_patient",
        "is_new_study",
        "is_new_series",
        "is_new_instance",
        "patient_internal_id",
        "study_internal_id",
        "series_internal_id",
        "instance_internal_id",
    ]


def test_create_instance_finds_or_makes_each_level(sql):
    first = create(sql, "p", "s", "r", "i1")
    assert first[:4] == (1, 1, 1, 1)
    second = create(sql, "p", "s", "r", "i2")
    assert second[:4] == (0, 0, 0, 1)
    assert second[4:7] == first[4:7]
    other_series = create(sql, "p", "s", "r2", "i3")
    assert other_series[:4] == (0, 0, 1, 1)
    again = create(sql, "p", "s", "r", "i1")
    assert again[:4] == (0, 0, 0, 0)
    assert again[4:] == first[4:]
    assert sql("SELECT value FROM Metadata WHERE type = 19") == [("3",)]


def test_statistics_follow_inserts_and_deletes(sql, tree):
    assert statistics(sql) == [300, 600, 1, 1, 2, 3]
    sql("SELECT * FROM DeleteResource(%s)", tree["r1"])
    assert statistics(sql) == [100, 200, 1, 1, 1, 1]
    assert sql("SELECT * FROM UpdateStatistics()") == [(1, 1, 1, 1, 100, 200)]
    assert sql("SELECT count(*) FROM GlobalIntegersChanges") == [(0,)]
    assert statistics(sql) == [100, 200, 1, 1, 1, 1]


def deleted(sql):
    return (
        [row[0] for row in sql("SELECT publicId FROM DeletedResources")],
        sorted(row[0] for row in sql("SELECT uuid FROM DeletedFiles")),
    )


def test_deleting_one_of_two_instances_reports_the_series(sql, tree):
    assert sql("SELECT * FROM DeleteResource(%s)", tree["i1"]) == [(2, "r1")]
    assert deleted(sql) == (["i1"], ["uuid-i1"])


def test_deleting_the_last_instance_takes_the_series_along(sql, tree):
    assert sql("SELECT * FROM DeleteResource(%s)", tree["i3"]) == [(None, None)]
    assert deleted(sql) == (["i3", "r2"], ["uuid-i3"])
    assert sql("SELECT count(*) FROM Resources") == [(5,)]


def test_deleting_the_patient_takes_everything(sql, tree):
    assert sql("SELECT * FROM DeleteResource(%s)", tree["p"]) == [(None, None)]
    resources, files = deleted(sql)
    assert set(resources[:3]) == {"i1", "i2", "i3"}
    assert set(resources[3:5]) == {"r1", "r2"}
    assert resources[5:] == ["s", "p"]
    assert files == ["uuid-i1", "uuid-i2", "uuid-i3"]
    assert statistics(sql) == [0] * 6


def test_deleted_files_hold_the_whole_row(sql, tree):
    sql("SELECT DeleteAttachment(%s, 1)", tree["i1"])
    assert sql("SELECT * FROM DeletedFiles") == [("uuid-i1", 1, 100, 200, 2, "u", "c", 0, None)]


def test_unknown_resource_is_a_not_null_violation(sql):
    with pytest.raises(psycopg.errors.NotNullViolation):
        sql("SELECT * FROM DeleteResource(4711)")


def test_deletion_of_rows_without_attachment_needs_no_temporary_table(sql):
    create(sql, "p", "s", "r", "i")
    # Statement-level triggers fire for no row too; a session that never deletes files has no DeletedFiles.
    sql("DELETE FROM AttachedFiles WHERE id = 4711 RETURNING id")
    sql("DELETE FROM Resources WHERE publicId = 'i' RETURNING internalId")


def test_child_counts(sql, tree):
    sql("SELECT * FROM UpdateInvalidChildCounts()")
    assert dict(sql("SELECT publicId, childCount FROM Resources WHERE resourceType < 3")) == {
        "p": 1,
        "s": 2,
        "r1": 2,
        "r2": 1,
    }
    sql("SELECT * FROM DeleteResource(%s)", tree["i1"])
    assert sql("SELECT id FROM InvalidChildCounts") == [(tree["r1"],)]
    sql("SELECT * FROM UpdateInvalidChildCounts()")
    assert sql("SELECT childCount FROM Resources WHERE publicId = 'r1'") == [(1,)]
    sql("UPDATE Resources SET childCount = NULL RETURNING 1")
    assert sql("SELECT * FROM ComputeMissingChildCount(2)") == [(2,)]
    assert sql("SELECT * FROM ComputeMissingChildCount(50)") == [(2,)]
    assert sql("SELECT * FROM ComputeMissingChildCount(50)") == [(0,)]


def test_last_change_never_goes_backwards(sql, tree):
    sql("INSERT INTO Changes VALUES (DEFAULT, 2, %s, 3, 'now') RETURNING seq", tree["i1"])
    [(last,)] = sql("SELECT value FROM GlobalIntegers WHERE key = 6")
    sql("INSERT INTO Changes VALUES (%s, 2, %s, 3, 'now') RETURNING seq", last - 1000, tree["i1"])
    assert sql("SELECT value FROM GlobalIntegers WHERE key = 6") == [(last,)]


def test_a_change_holds_the_lock_before_its_number_is_drawn(database_uri, tree):
    insert = "INSERT INTO Changes VALUES (DEFAULT, 2, %s, 3, 'now')"
    with psycopg.connect(database_uri) as first, psycopg.connect(database_uri) as second:
        first.execute(insert, (tree["i1"],))
        second.execute("SET lock_timeout = '100ms'")
        drawn = "SELECT last_value FROM changes_seq_seq"
        [before] = first.execute(drawn).fetchone()
        with pytest.raises(psycopg.errors.LockNotAvailable):
            second.execute(insert, (tree["i2"],))
        assert first.execute(drawn).fetchone() == (before,)


def test_metadata_and_protection(sql, tree):
    sql("SELECT InsertOrUpdateMetadata(%s, ARRAY[1024, 1024], ARRAY['a', 'b'], ARRAY[0, 1])", [tree["p"], tree["p"]])
    assert sql("SELECT value, revision FROM Metadata WHERE type = 1024") == [("b", 1)]
    sql("SELECT ProtectPatient(%s)", tree["p"])
    assert sql("SELECT value FROM Metadata WHERE type = 18") == [("true",)]
    [(before,)] = sql("SELECT value FROM Metadata WHERE type = 19")
    sql("SELECT UnprotectPatient(%s)", tree["p"])
    assert sql("SELECT count(*) FROM Metadata WHERE type = 18") == [(0,)]
    [(after,)] = sql("SELECT value FROM Metadata WHERE type = 19")
    assert int(after) > int(before)


def test_no_function_of_ours_has_its_plans_compiled(sql):
    """Where scans are forbidden a plan may seem endlessly expensive, and compiling it takes a second."""
    functions = sql(
        "SELECT proname, array_to_string(proconfig, ' ') FROM pg_proc"
        " WHERE pronamespace = 'cluster'::regnamespace AND proconfig::text LIKE %s",
        "%enable_seqscan%",
    )
    assert len(functions) >= 5
    assert [name for name, settings in functions if "jit=off" not in settings] == []
