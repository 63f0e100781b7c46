"""Rows after a batch, against interop/ingest.md and interop/schema.md."""

import threading
import time
import uuid
from io import BytesIO

import psycopg
import pytest

from cluster.database import Database
from cluster.dicom.header import read_part10
from cluster.dicom.main_tags import SIGNATURES
from cluster.index.attached_files import AttachedBytes
from cluster.index.changes import changes_since
from cluster.index.opening import index_of
from cluster.index.statistics import Statistics, read_statistics
from cluster.index.store_instances import InstanceRows, store_instances
from cluster.ingest.metadata import metadata_of
from cluster.ingest.origin import Origin
from tests.support.dicom import make_file
from tests.support.indices import connect, only_on_postgresql
from tests.support.settings import settings_for
from workers.local.children import wait_until

DIMSE = Origin("DicomProtocol", "SENDER", "10.0.0.1", "ORTHANC")
REST = Origin("RestApi", "", "10.0.0.2", None, "")


@pytest.fixture
def database(index_uri):
    database = index_of(settings_for(index_uri))
    database.open()
    yield database
    database.close()


@pytest.fixture
def sql(index_uri):
    with connect(index_uri) as connection:
        yield lambda query, *values: connection.execute(query, values).fetchall()


def rows_of(origin=DIMSE, md5="0" * 32, **keywords):
    file = make_file(**keywords)
    instance = read_part10(BytesIO(file), len(file))
    return InstanceRows(instance, AttachedBytes.plain(str(uuid.uuid4()), len(file), md5), metadata_of(instance, origin))


def store(database, *batch, overwrite="Never"):
    return store_instances(database, overwrite, batch)


def changes(sql):
    """As (type, level, seq order) with the public id left out."""
    return [row[0] for row in sql("SELECT changeType FROM Changes ORDER BY seq")]


def metadata(sql, public_id):
    query = "SELECT m.type, m.value FROM Metadata m JOIN Resources r ON r.internalId = m.id WHERE r.publicId = %s"
    return dict(sql(query, public_id))


def test_first_instance_makes_all_four_levels(database, sql):
    rows = rows_of()
    result = store(database, rows)
    ids = rows.instance.public_ids
    assert result.outcomes == {ids.instance: "Success"}
    assert result.removed == []
    tree = sql(
        "SELECT r.publicId, r.resourceType, p.publicId FROM Resources r LEFT JOIN Resources p"
        " ON p.internalId = r.parentId ORDER BY r.resourceType"
    )
    assert tree == [
        (ids.patient, 0, None),
        (ids.study, 1, ids.patient),
        (ids.series, 2, ids.study),
        (ids.instance, 3, ids.series),
    ]
    # NewInstance, NewSeries, NewStudy, NewPatient
    assert changes(sql) == [2, 4, 5, 3]
    assert sql("SELECT resourceType FROM Changes ORDER BY seq") == [(3,), (2,), (1,), (0,)]
    assert sql("SELECT max(seq) FROM Changes") == [(changes_since(database, 0, 10).last,)]


def test_attachment_row(database, sql):
    rows = rows_of(md5="d41d8cd98f00b204e9800998ecf8427e")
    store(database, rows)
    columns = (
        "fileType, uuid, compressedSize, uncompressedSize, compressionType, uncompressedHash, compressedHash,"
        " revision, customData"
    )
    assert sql(f"SELECT {columns} FROM AttachedFiles") == [
        (1, rows.file.uuid, rows.file.size, rows.file.size, 1, rows.file.md5, rows.file.md5, 0, None)
    ]


def place_in_queue(sql, index, patient):
    """Of the patients that are recycled first."""
    if index == "sqlite":
        query = "SELECT o.seq FROM PatientRecyclingOrder o JOIN Resources r ON r.internalId = o.patientId"
        [(place,)] = sql(f"{query} WHERE r.publicId = %s", patient)
        return place
    return int(metadata(sql, patient)[19])


def test_metadata_of_a_c_store(database, sql, index):
    rows = rows_of()
    store(database, rows)
    ids = rows.instance.public_ids
    stamp = sql("SELECT date FROM Changes LIMIT 1")[0][0]
    offset = str(rows.instance.pixel_data_offset)
    assert metadata(sql, ids.patient).items() - {(19, "1")} == {(7, stamp), (15, SIGNATURES[0])}
    assert place_in_queue(sql, index, ids.patient) == 1
    assert metadata(sql, ids.study) == {7: stamp, 15: SIGNATURES[1]}
    assert metadata(sql, ids.series) == {3: "SENDER", 7: stamp, 15: SIGNATURES[2]}
    assert metadata(sql, ids.instance) == {
        1: "1",
        2: stamp,
        3: "SENDER",
        8: "DicomProtocol",
        9: "1.2.840.10008.1.2.1",
        10: "1.2.840.10008.5.1.4.1.1.2",
        11: "10.0.0.1",
        12: "ORTHANC",
        14: offset,
        15: SIGNATURES[3],
    }
    assert sql("SELECT DISTINCT revision FROM Metadata") == [(0,)]


def test_metadata_of_an_upload(database, sql):
    rows = rows_of(REST, PixelData=None)
    store(database, rows)
    ids = rows.instance.public_ids
    assert metadata(sql, ids.series)[3] == ""
    assert metadata(sql, ids.instance).keys() == {1, 2, 3, 8, 9, 10, 11, 13, 15}
    assert metadata(sql, ids.instance)[13] == ""


def test_tags_of_each_level_and_the_patients_at_the_study(database, sql):
    rows = rows_of(PatientName="Müller^Jörg")
    store(database, rows)
    query = (
        "SELECT r.resourceType, t.tagGroup, t.tagElement, t.value FROM {} t JOIN Resources r ON r.internalId = t.id"
        " ORDER BY 1, 2, 3"
    )
    tags = sql(query.format("MainDicomTags"))
    assert (0, 0x10, 0x10, "Müller^Jörg") in tags
    assert (1, 0x10, 0x10, "Müller^Jörg") in tags
    assert (1, 0x20, 0x0D, "2.25.1") in tags
    assert (2, 0x08, 0x60, "CT") in tags
    assert (3, 0x20, 0x13, "1") in tags
    identifiers = sql(query.format("DicomIdentifiers"))
    assert (0, 0x10, 0x10, "MLLER^JRG") in identifiers
    assert (1, 0x10, 0x20, "P1") in identifiers
    assert (1, 0x08, 0x1030, "HEAD") in identifiers
    assert (2, 0x20, 0x0E, "2.25.1.1") in identifiers
    assert len([tag for tag in identifiers if tag[0] == 3]) == 1


def test_second_instance_adds_nothing_above(database, sql, index):
    first, second = rows_of(), rows_of(SOPInstanceUID="2.25.1.1.2", PatientName="Other^Name")
    store(database, first)
    before = metadata(sql, first.instance.public_ids.series)
    store(database, second)
    assert changes(sql) == [2, 4, 5, 3, 2]
    assert sql("SELECT count(*) FROM MainDicomTags WHERE value = 'Other^Name'") == [(0,)]
    assert metadata(sql, first.instance.public_ids.series).keys() == before.keys()
    assert place_in_queue(sql, index, first.instance.public_ids.patient) == 2


def test_batch_has_the_effect_of_its_instances_one_by_one(database, sql):
    batch = [
        rows_of(PatientID=f"P{p}", StudyInstanceUID=f"2.25.{p}.{s}", SeriesInstanceUID=f"2.25.{p}.{s}.{r}")
        for p in range(2)
        for s in range(2)
        for r in range(2)
        for _ in range(3)
    ]
    result = store(database, *batch)
    assert list(result.outcomes.values()) == ["Success"] * 24
    assert sql("SELECT resourceType, count(*) FROM Resources GROUP BY 1 ORDER BY 1") == [
        (0, 2),
        (1, 4),
        (2, 8),
        (3, 24),
    ]
    kinds = changes(sql)
    assert {kind: kinds.count(kind) for kind in set(kinds)} == {2: 24, 4: 8, 5: 4, 3: 2}
    # The first instance of a new branch announces it, child before parent.
    assert kinds[:4] == [2, 4, 5, 3]
    assert sql("SELECT count(*) FROM AttachedFiles") == [(24,)]
    size = sum(rows.file.size for rows in batch)
    assert read_statistics(database) == Statistics(size, size, 2, 4, 8, 24)


@only_on_postgresql("SQLite stores no child counts", either_way=True)
def test_child_counts_are_exact_after_housekeeping(database, sql):
    store(database, *[rows_of(SeriesInstanceUID=f"2.25.1.{n % 3}") for n in range(10)])
    sql("SELECT * FROM UpdateInvalidChildCounts()")
    wrong = sql(
        "SELECT * FROM Resources r WHERE childCount IS DISTINCT FROM"
        " (SELECT count(*) FROM Resources c WHERE c.parentId = r.internalId)"
    )
    assert wrong == []
    assert sql("SELECT count(*) FROM InvalidChildCounts") == [(0,)]


def test_duplicate_is_left_alone(database, sql):
    first, again = rows_of(SOPInstanceUID="2.25.7"), rows_of(SOPInstanceUID="2.25.7")
    store(database, first)
    everything = "SELECT id, type, value FROM Metadata ORDER BY 1, 2"
    before = sql(everything)
    result = store(database, again)
    assert result.outcomes == {again.instance.public_ids.instance: "AlreadyStored"}
    assert result.removed == []
    assert sql(everything) == before
    assert sql("SELECT uuid FROM AttachedFiles") == [(first.file.uuid,)]
    assert changes(sql) == [2, 4, 5, 3]


def test_duplicate_beside_a_new_instance(database, sql):
    old, again, new = (
        rows_of(SOPInstanceUID="2.25.7"),
        rows_of(SOPInstanceUID="2.25.7"),
        rows_of(SOPInstanceUID="2.25.8"),
    )
    store(database, old)
    result = store(database, again, new)
    assert result.outcomes == {
        again.instance.public_ids.instance: "AlreadyStored",
        new.instance.public_ids.instance: "Success",
    }
    assert changes(sql) == [2, 4, 5, 3, 2]


def test_overwriting_the_only_instance_makes_its_parents_anew(database, sql):
    first, again = rows_of(SOPInstanceUID="2.25.7"), rows_of(SOPInstanceUID="2.25.7")
    store(database, first)
    sql("INSERT INTO Labels (id, label) SELECT internalId, 'x' FROM Resources RETURNING id")
    result = store(database, again, overwrite="Always")
    assert result.outcomes == {again.instance.public_ids.instance: "Success"}
    assert result.removed == [first.file.uuid]
    assert sql("SELECT uuid FROM AttachedFiles") == [(again.file.uuid,)]
    assert sql("SELECT count(*) FROM Labels") == [(0,)]
    # The changes of what was deleted went with it.
    assert changes(sql) == [2, 4, 5, 3]
    assert sql("SELECT count(*) FROM Resources") == [(4,)]
    assert read_statistics(database).compressed_size == again.file.size


def test_overwriting_one_of_two_leaves_the_parents(database, sql):
    first, other, again = (rows_of(SOPInstanceUID=uid) for uid in ("2.25.7", "2.25.8", "2.25.7"))
    store(database, first, other)
    store(database, again, overwrite="Always")
    assert changes(sql) == [2, 4, 5, 3, 2] or changes(sql) == [4, 5, 3, 2, 2]
    assert sql("SELECT count(*) FROM Resources WHERE resourceType = 3") == [(2,)]


def test_overwrite_if_changed_compares_hashes(database, sql):
    first = rows_of(SOPInstanceUID="2.25.7", md5="a" * 32)
    store(database, first)
    same = store(database, rows_of(SOPInstanceUID="2.25.7", md5="a" * 32), overwrite="IfChanged")
    assert list(same.outcomes.values()) == ["AlreadyStored"]
    other = store(database, rows_of(SOPInstanceUID="2.25.7", md5="b" * 32), overwrite="IfChanged")
    assert list(other.outcomes.values()) == ["Success"]
    assert other.removed == [first.file.uuid]


@pytest.mark.parametrize("overwrite", ["Never", "Always"])
def test_replay_of_a_committed_batch_changes_nothing(database, sql, overwrite):
    batch = [rows_of(), rows_of()]
    store(database, *batch, overwrite=overwrite)
    seqs = sql("SELECT seq FROM Changes ORDER BY seq")
    result = store(database, *batch, overwrite=overwrite)
    assert set(result.outcomes.values()) == {"Success"}
    assert result.removed == []
    assert sql("SELECT seq FROM Changes ORDER BY seq") == seqs


def test_completed_series_is_logged_when_the_last_number_arrives(database, sql):
    keywords = {"ImagesInAcquisition": 3, "NumberOfTemporalPositions": 1}
    store(database, rows_of(InstanceNumber=2, **keywords), rows_of(InstanceNumber=3, **keywords))
    assert 1 not in changes(sql)
    last = rows_of(InstanceNumber=1, **keywords)
    store(database, last)
    assert changes(sql)[-2:] == [2, 1]
    assert metadata(sql, last.instance.public_ids.series)[4] == "3"
    store(database, rows_of(InstanceNumber=1, **keywords))
    assert changes(sql).count(1) == 1


def test_repeated_or_odd_numbers_complete_nothing(database, sql):
    keywords = {"ImagesInAcquisition": 2, "NumberOfTemporalPositions": 1}
    store(database, rows_of(InstanceNumber=1, **keywords), rows_of(InstanceNumber=1, **keywords))
    store(database, rows_of(InstanceNumber=7, SeriesInstanceUID="2.25.5", **keywords))
    assert 1 not in changes(sql)


def test_instance_twice_in_a_batch_is_a_bug_of_the_caller(database):
    with pytest.raises(ValueError, match="twice"):
        store(database, rows_of(SOPInstanceUID="2.25.7"), rows_of(SOPInstanceUID="2.25.7"))


@only_on_postgresql("a mode of PostgreSQL's", either_way=True)
def test_serializable_mode_stores_too(database_uri, sql):
    database = Database(settings_for(database_uri, postgresql={"TransactionMode": "Serializable"}).postgresql)
    database.open()
    try:
        assert set(store(database, rows_of(), rows_of()).outcomes.values()) == {"Success"}
        assert len(changes(sql)) == 5
    finally:
        database.close()


@only_on_postgresql("SQLite has one writer at a time", either_way=True)
def test_instance_stored_by_another_session_in_between_is_found_on_the_second_look(database, database_uri, sql):
    """The interleaving, by hand: we look, another session stores the instance and commits, we go on."""
    rows, theirs = rows_of(SOPInstanceUID="2.25.7"), rows_of(SOPInstanceUID="2.25.7")
    other = rows_of(SOPInstanceUID="2.25.8")
    store(database, other)
    ids = rows.instance.public_ids
    with psycopg.connect(database_uri) as another:
        # Given another session that has stored the same instance and not committed
        another.execute(
            "SELECT * FROM CreateInstance(%s, %s, %s, %s)", (ids.patient, ids.study, ids.series, ids.instance)
        )
        another.execute(
            "INSERT INTO AttachedFiles SELECT internalId, 1, %s, 1, 1, 1, 'h', 'h', 0 FROM Resources"
            " WHERE publicId = %s",
            (theirs.file.uuid, ids.instance),
        )
        results = []
        ours = threading.Thread(target=lambda: results.append(store(database, rows)))
        ours.start()
        # When it commits while we wait for its row
        assert wait_until(lambda: sql("SELECT count(*) FROM pg_locks WHERE NOT granted")[0][0] == 1, 10)
        another.commit()
    ours.join(10)
    # Then ours is the duplicate
    assert results[0].outcomes == {ids.instance: "AlreadyStored"}
    assert sql("SELECT count(*) FROM AttachedFiles WHERE uuid = %s", rows.file.uuid) == [(0,)]


@only_on_postgresql("reads PostgreSQL's statistics of its indexes", either_way=True)
def test_the_work_for_an_instance_does_not_grow_with_the_index(database, sql, database_uri):
    # Given an index of some hundred instances that nobody has analyzed, stored by the session that will go on
    with psycopg.connect(database_uri) as connection:
        connection.execute("ALTER TABLE Resources SET (autovacuum_enabled = false)")

    def instances(numbers):
        return [rows_of(SeriesInstanceUID="1.2.3", SOPInstanceUID=f"1.2.3.{number}") for number in numbers]

    store(database, *instances(range(300)))
    # When more come, one by one
    for rows in instances(range(300, 330)):
        store(database, rows)
    database.close()  # which makes the session report what it read
    # Then they were looked up one by one, not found among all of their level
    read = (
        "SELECT sum(idx_scan)::bigint, sum(idx_tup_read)::bigint FROM pg_stat_user_indexes WHERE relname = 'resources'"
    )
    assert wait_until(lambda: sql("SELECT pg_stat_clear_snapshot()") and (sql(read)[0][0] or 0) > 30, 10)
    [(scans, entries)] = sql(read)
    assert entries < 2 * scans


@only_on_postgresql
@pytest.mark.parametrize("when", ["IMMEDIATE", "DEFERRED"])
def test_time_of_the_rows_is_told_apart_from_that_of_the_commit(database, index_uri, when):
    body = "BEGIN PERFORM pg_sleep(0.03); RETURN NULL; END"
    pause = f"CREATE FUNCTION pause() RETURNS trigger LANGUAGE plpgsql AS '{body}'"
    trigger = (
        f"CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON Changes DEFERRABLE INITIALLY {when}"
        " FOR EACH ROW EXECUTE FUNCTION pause()"
    )
    with psycopg.connect(index_uri, autocommit=True) as connection:
        connection.execute(pause)
        connection.execute(trigger)
    began = time.monotonic()
    seconds = store(database, rows_of()).seconds
    slept = 4 * 0.03  # a change of each level
    if when == "IMMEDIATE":
        assert seconds >= slept
    else:
        assert time.monotonic() - began - seconds >= slept
