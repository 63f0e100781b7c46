"""Each defect that a cluster could have is planted, and the check has to see it: that one, and no other."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from cluster.dicom.public_ids import public_ids
from tests.integration.load.conftest import Archive, delivery_of, put
from workers.load.plan import instances_of, portions

ONE_INSTANCE = "(SELECT min(internalId) FROM Resources WHERE resourceType = 3)"


def test_a_sound_archive_is_clean(archive: Archive) -> None:
    findings = archive.check()

    assert findings.clean
    assert findings.examples == {}
    assert findings.orphans == 0


def test_what_was_not_acknowledged_may_be_absent(archive: Archive) -> None:
    # Given an instance that was sent, refused and not stored
    (portion,) = portions(1, 61, shared_studies=False)
    refused = list(instances_of(portion, size="small", seed=5))[60]
    archive.ledger.add([replace(delivery_of(refused), acknowledged_at=None, latency_seconds=None, status=0xA700)])

    assert archive.check().clean


def test_an_acknowledged_instance_that_is_nowhere_is_missing_once(archive: Archive) -> None:
    # Given an instance that was acknowledged and never stored, in a series that is there
    (portion,) = portions(1, 61, shared_studies=False)
    lost = list(instances_of(portion, size="small", seed=5))[60]
    archive.ledger.add([delivery_of(lost)])

    findings = archive.check()

    assert findings.missing == {
        public_ids(lost.patient_id, lost.study_instance_uid, lost.series_instance_uid, lost.sop_instance_uid).instance
    }
    assert not findings.duplicated
    assert len(findings.examples) == 1


MISSING = {
    "instance": f"DELETE FROM Resources WHERE internalId = {ONE_INSTANCE}",
    "attachment": f"DELETE FROM AttachedFiles WHERE id = {ONE_INSTANCE}",
    "identifiers": f"DELETE FROM DicomIdentifiers WHERE id = {ONE_INSTANCE}",
    "NewInstance": f"DELETE FROM Changes WHERE changeType = 2 AND internalId = {ONE_INSTANCE}",
    "NewSeries": "DELETE FROM Changes WHERE seq = (SELECT max(seq) FROM Changes WHERE changeType = 4)",
    "NewStudy": "DELETE FROM Changes WHERE seq = (SELECT max(seq) FROM Changes WHERE changeType = 5)",
    "NewPatient": "DELETE FROM Changes WHERE seq = (SELECT max(seq) FROM Changes WHERE changeType = 3)",
    "parent of an instance": f"UPDATE Resources SET parentId = NULL WHERE internalId = {ONE_INSTANCE}",
    "parent of a study": "UPDATE Resources SET parentId = NULL"
    " WHERE internalId = (SELECT max(internalId) FROM Resources WHERE resourceType = 1)",
}


@pytest.mark.parametrize("defect", list(MISSING))
def test_a_lost_row_is_seen(archive: Archive, defect: str) -> None:
    # The triggers of the child counts and statistics hold for whoever deletes rows, so only the row is lost.
    archive.sql.execute(MISSING[defect])

    findings = archive.check()

    assert len(findings.missing) == 1
    assert not findings.duplicated
    assert not findings.wrong_bytes
    assert findings.inconsistencies == []


DUPLICATED = {
    "NewInstance": f"INSERT INTO Changes (changeType, internalId, resourceType) VALUES (2, {ONE_INSTANCE}, 3)",
    "NewPatient": "INSERT INTO Changes (changeType, internalId, resourceType)"
    " SELECT 3, internalId, 0 FROM Resources WHERE resourceType = 0",
    "attachment": "ALTER TABLE AttachedFiles DROP CONSTRAINT attachedfiles_pkey; INSERT INTO AttachedFiles"
    f" SELECT * FROM AttachedFiles WHERE id = {ONE_INSTANCE}",
    "resource": "ALTER TABLE Resources DROP CONSTRAINT uniquepublicid; INSERT INTO Resources"
    " (resourceType, publicId, parentId, childCount) SELECT resourceType, publicId, parentId, childCount"
    f" FROM Resources WHERE internalId = {ONE_INSTANCE}",
    "identifier under another public id": "WITH second AS (INSERT INTO Resources (resourceType, publicId, parentId)"
    f" SELECT 3, 'another', parentId FROM Resources WHERE internalId = {ONE_INSTANCE} RETURNING internalId)"
    " INSERT INTO DicomIdentifiers SELECT s.internalId, d.tagGroup, d.tagElement, d.value"
    f" FROM second s, DicomIdentifiers d WHERE d.id = {ONE_INSTANCE}",
}


@pytest.mark.parametrize("defect", list(DUPLICATED))
def test_a_doubled_row_is_seen(archive: Archive, defect: str) -> None:
    archive.sql.execute(DUPLICATED[defect])

    findings = archive.check()

    assert len(findings.duplicated) == 1
    assert not findings.missing
    assert findings.inconsistencies == []


def lose(archive: Archive) -> None:
    archive.a_file().unlink()


def flip_a_bit(archive: Archive) -> None:
    file = archive.a_file()
    stored = bytearray(file.read_bytes())
    stored[-1] ^= 1
    file.write_bytes(stored)


def truncate(archive: Archive) -> None:
    file = archive.a_file()
    file.write_bytes(file.read_bytes()[:-1])


def say_another_size(archive: Archive) -> None:
    archive.sql.execute(f"UPDATE AttachedFiles SET compressedSize = compressedSize + 1 WHERE id = {ONE_INSTANCE}")
    archive.sql.execute("UPDATE GlobalIntegersChanges SET value = value + 1 WHERE key = 0")


def say_another_md5(archive: Archive) -> None:
    archive.sql.execute(f"UPDATE AttachedFiles SET compressedHash = 'x' WHERE id = {ONE_INSTANCE}")


def swap_two_files(archive: Archive) -> None:
    """Rows and files agree with each other, but two instances are not what was sent under their name."""
    query = "SELECT id, uuid, compressedHash FROM AttachedFiles ORDER BY id LIMIT 2"
    (one, *file), (other, *other_file) = archive.sql.execute(query).fetchall()
    for instance, (uuid, md5) in ((one, other_file), (other, file)):
        archive.sql.execute(
            "UPDATE AttachedFiles SET uuid = %s, compressedHash = %s, uncompressedHash = %s WHERE id = %s",
            (uuid, md5, md5, instance),
        )


@pytest.mark.parametrize(
    ("defect", "missing", "wrong"),
    [
        (lose, 1, 0),
        (flip_a_bit, 0, 1),
        (truncate, 0, 1),
        (say_another_size, 0, 1),
        (say_another_md5, 0, 1),
        (swap_two_files, 0, 2),
    ],
)
def test_a_damaged_file_is_seen(archive: Archive, defect: Callable[[Archive], None], missing: int, wrong: int) -> None:
    defect(archive)

    findings = archive.check()

    assert (len(findings.missing), len(findings.wrong_bytes), len(findings.duplicated)) == (missing, wrong, 0)
    assert findings.inconsistencies == []
    assert len(findings.examples) == missing + wrong


INCONSISTENT = {
    "compressed bytes": "INSERT INTO GlobalIntegersChanges (key, value) VALUES (0, 1)",
    "uncompressed bytes": "UPDATE GlobalIntegers SET value = value + 1 WHERE key = 1",
    "patients": "DELETE FROM GlobalIntegersChanges WHERE key = 2",
    "studies": "UPDATE GlobalIntegers SET value = -1 WHERE key = 3",
    "series": "INSERT INTO GlobalIntegersChanges (key, value) VALUES (4, -1)",
    "instances": "DELETE FROM GlobalIntegers WHERE key = 5",
    "last change": "UPDATE GlobalIntegers SET value = value - 1 WHERE key = 6",
    "the last drawn": "UPDATE GlobalIntegers SET value = value + 1 WHERE key = 6",
}


@pytest.mark.parametrize("defect", list(INCONSISTENT))
def test_a_wrong_counter_is_seen(archive: Archive, defect: str) -> None:
    archive.sql.execute(INCONSISTENT[defect])

    findings = archive.check()

    assert len(findings.inconsistencies) == 1
    assert defect in findings.inconsistencies[0]
    assert not findings.missing | findings.duplicated | findings.wrong_bytes


def test_folding_the_statistics_changes_nothing(archive: Archive) -> None:
    archive.sql.execute("SELECT * FROM UpdateStatistics()")

    assert archive.check().clean


def test_deleting_the_newest_resource_is_no_inconsistency(archive: Archive) -> None:
    # Given a newer patient of somebody else's, whose change went with it
    archive.sql.execute(
        "WITH other AS (INSERT INTO Resources (resourceType, publicId) VALUES (0, 'other') RETURNING internalId)"
        " INSERT INTO Changes (changeType, internalId, resourceType) SELECT 3, internalId, 0 FROM other"
    )
    archive.sql.execute("DELETE FROM Resources WHERE publicId = 'other'")
    query = "SELECT value > (SELECT max(seq) FROM Changes) FROM GlobalIntegers WHERE key = 6"
    assert archive.sql.execute(query).fetchone() == (True,)

    assert archive.check().clean


def test_files_without_a_row_are_counted_and_no_error(archive: Archive) -> None:
    # Given what a killed node leaves, and a file of somebody else
    (portion,) = portions(1, 70, shared_studies=False)
    for instance in list(instances_of(portion, size="small", seed=5))[60:63]:
        put(instance, archive.storage)
    (archive.storage / "README").write_text("not ours")

    findings = archive.check()

    assert findings.orphans == 3
    assert findings.clean
