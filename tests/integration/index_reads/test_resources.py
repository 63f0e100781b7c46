"""Lists and details, against interop/rest.md 4."""

import time

import pytest

from cluster.database import Database
from cluster.dicom.levels import Level
from cluster.dicom.public_ids import PublicIds
from cluster.index import resources
from cluster.index.deletion import delete_resource
from cluster.index.enumerations import MetadataType
from cluster.index.stable import log_stable_resources
from tests.integration.index_reads.conftest import Sql, Store
from tests.support.indices import INSTANCE


def flat(pages):
    return [element for page in pages for element in page]


def test_nothing_is_listed_of_an_empty_index(database: Database) -> None:
    for level in Level:
        assert flat(resources.public_ids(database, level)) == []
        assert flat(resources.resources(database, level)) == []
        assert resources.resource(database, level, "a") is None


@pytest.mark.parametrize("page_size", [1, 2, 3, 7])
def test_pages_hold_every_id_once_in_ascending_order(
    database: Database, store: Store, monkeypatch: pytest.MonkeyPatch, page_size: int
) -> None:
    ids = sorted(store().instance for _ in range(6))
    monkeypatch.setattr(resources, "IDS_PER_PAGE", page_size)
    monkeypatch.setattr(resources, "RESOURCES_PER_PAGE", page_size)
    assert flat(resources.public_ids(database, Level.INSTANCE)) == ids
    assert [found.public_id for found in flat(resources.resources(database, Level.INSTANCE))] == ids
    for since in range(8):
        for limit in range(1, 8):
            window = flat(resources.public_ids(database, Level.INSTANCE, since, limit))
            assert window == ids[since : since + limit]


def test_a_resource_deleted_between_two_pages_disturbs_no_other(
    database: Database, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = sorted(store().instance for _ in range(4))
    monkeypatch.setattr(resources, "IDS_PER_PAGE", 2)
    pages = resources.public_ids(database, Level.INSTANCE)
    assert next(pages) == ids[:2]
    delete_resource(database, Level.INSTANCE, ids[0])
    assert next(pages) == ids[2:]


def test_each_level_is_told_with_its_own_tags_parent_and_children(database: Database, store: Store) -> None:
    first = store(InstanceNumber=1, PatientName="Doe^Jane")
    second = store(InstanceNumber=2, PatientName="Doe^Jane")

    patient = resources.resource(database, Level.PATIENT, first.patient)
    assert patient is not None
    assert patient.parent is None
    assert patient.children == [first.study]
    assert patient.main_tags[(0x0010, 0x0010)] == "Doe^Jane"
    assert (0x0008, 0x0020) not in patient.main_tags

    study = resources.resource(database, Level.STUDY, first.study)
    assert study is not None
    assert (study.parent, study.children) == (first.patient, [first.series])
    assert study.main_tags[(0x0008, 0x0050)] == "A1"
    assert study.main_tags[(0x0010, 0x0020)] == "P1"

    series = resources.resource(database, Level.SERIES, first.series)
    assert series is not None
    assert (series.parent, series.children) == (first.study, sorted([first.instance, second.instance]))
    assert sorted(series.indices_in_series) == ["1", "2"]

    instance = resources.resource(database, Level.INSTANCE, second.instance)
    assert instance is not None
    assert (instance.parent, instance.children) == (first.series, [])
    assert instance.number(MetadataType.INDEX_IN_SERIES) == 2
    assert instance.file_size is not None
    assert instance.file_size > 500


def test_an_id_of_another_level_is_unknown(database: Database, store: Store) -> None:
    ids = store()
    assert resources.resource(database, Level.SERIES, ids.instance) is None
    assert resources.resource(database, Level.INSTANCE, ids.series) is None


def test_ids_are_values_and_never_sql(database: Database, store: Store) -> None:
    store()
    assert resources.resource(database, Level.INSTANCE, "x' OR '1'='1") is None
    assert resources.resource(database, Level.INSTANCE, "%s; DROP TABLE Resources; --") is None
    assert len(flat(resources.public_ids(database, Level.INSTANCE))) == 1


PROTECT = {
    "postgresql": "SELECT ProtectPatient(internalId) FROM Resources WHERE publicId = %s",
    "sqlite": "DELETE FROM PatientRecyclingOrder"
    " WHERE patientId = (SELECT internalId FROM Resources WHERE publicId = %s)",
}


def test_labels_and_protection_written_by_others_are_shown(
    database: Database, store: Store, sql: Sql, index: str
) -> None:
    ids = store()
    for label in "ba":
        sql(
            "INSERT INTO Labels (id, label) SELECT internalId, %s FROM Resources WHERE publicId = %s",
            label,
            ids.patient,
        )
    sql(PROTECT[index], ids.patient)
    patient = resources.resource(database, Level.PATIENT, ids.patient)
    assert patient is not None
    assert patient.labels == ["a", "b"]
    assert patient.metadata[MetadataType.IS_PROTECTED] == "true"


def test_stable_is_what_the_log_of_changes_calls_so(database: Database, store: Store, sql: Sql, index: str) -> None:
    def stable(ids: PublicIds) -> list[bool]:
        levels = ((Level.PATIENT, ids.patient), (Level.STUDY, ids.study), (Level.SERIES, ids.series))
        found = [resources.resource(database, level, public_id) for level, public_id in levels]
        return [resource.is_stable for resource in found if resource is not None]

    nine_seconds = {"postgresql": "interval '9 seconds'", "sqlite": "9"}[index]
    quiet = f"UPDATE cluster.unstable_resources SET last_instance_at = last_instance_at - {nine_seconds}"
    ids = store()
    assert stable(ids) == [False] * 3  # committed, and no housekeeping yet
    assert log_stable_resources(database, 10) == 0
    assert stable(ids) == [False] * 3
    sql(quiet)
    assert log_stable_resources(database, 10) == 0
    assert stable(ids) == [False] * 3
    sql(quiet)
    assert stable(ids) == [False] * 3  # not before the change that says so
    assert log_stable_resources(database, 10) == 3
    assert stable(ids) == [True] * 3
    # Another series of the same study, and another patient.
    store(SeriesInstanceUID="2.25.1.2")
    other = store(PatientID="P2", StudyInstanceUID="2.25.2", SeriesInstanceUID="2.25.2.1")
    assert stable(ids) == [False, False, True]
    assert stable(other) == [False] * 3
    instance = resources.resource(database, Level.INSTANCE, ids.instance)
    assert instance is not None
    assert instance.is_stable


def test_what_was_there_before_counts_as_stable(database: Database, store: Store, sql: Sql) -> None:
    ids = store()
    sql("DELETE FROM cluster.properties WHERE name = 'stable_changes_read_upto'")
    series = resources.resource(database, Level.SERIES, ids.series)
    assert series is not None
    assert series.is_stable


def test_a_lag_of_housekeeping_does_not_make_lists_slow(database: Database, store: Store, sql: Sql, index: str) -> None:
    ids = store()
    sql(
        "INSERT INTO Changes (changeType, internalId, resourceType, date) SELECT 2, internalId, %s, '' FROM Resources,"
        " (WITH RECURSIVE many (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM many WHERE n < 100000) SELECT n FROM many)"
        " AS m WHERE resourceType = 3",
        INSTANCE[index],
    )
    started = time.monotonic()
    series = resources.resource(database, Level.SERIES, ids.series)
    assert time.monotonic() - started < 1
    assert series is not None
    assert not series.is_stable


@pytest.mark.parametrize(
    ("expected", "indices", "status"),
    [
        (None, ["1"], "Unknown"),
        (2, ["1"], "Missing"),
        (2, ["1", "2"], "Complete"),
        (2, ["1", "2", "2"], "Complete"),
        (2, ["1", "3"], "Inconsistent"),
        (2, ["0", "1"], "Inconsistent"),
        (2, ["1", "a"], "Unknown"),
        (2, [], "Missing"),
    ],
)
def test_series_status(
    database: Database, store: Store, sql: Sql, expected: int | None, indices: list[str], status: str
) -> None:
    ids = [store(InstanceNumber=1) for _ in indices] or [store(InstanceNumber=None)]
    for one, index in zip(ids, indices, strict=False):
        sql(
            "UPDATE Metadata SET value = %s"
            " WHERE type = 1 AND id = (SELECT internalId FROM Resources WHERE publicId = %s)",
            index,
            one.instance,
        )
    if expected is not None:
        sql(
            "INSERT INTO Metadata (id, type, value, revision) SELECT internalId, 4, %s, 0 FROM Resources"
            " WHERE resourceType = 2",
            str(expected),
        )
    series = resources.resource(database, Level.SERIES, ids[0].series)
    assert series is not None
    assert series.series_status == status
