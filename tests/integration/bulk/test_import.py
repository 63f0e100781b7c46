"""`import` with a real worker: what gets stored, what is counted, what is reported."""

import shutil
import uuid
import zipfile
from collections import Counter
from pathlib import Path

import pydicom
import pytest
from pydicom.errors import InvalidDicomError

from cluster.bulk.entries import ImportFile
from cluster.bulk.files import Chunk
from cluster.bulk.ledger import Ledger
from cluster.dicom.public_ids import public_ids
from tests.integration.bulk.conftest import BulkCluster
from tests.support.dicom import make_file

PYDICOM_FILES = Path(pydicom.__file__).parent / "data" / "test_files"
# Readable for pydicom, which guesses, and damaged all the same: an element runs past the end, or the data set is not
# in the transfer syntax that the file meta information names.
DAMAGED = {"MR_truncated.dcm", "rtplan_truncated.dcm", "SC_rgb_jpeg.dcm"}


@pytest.fixture
def working(cluster: BulkCluster) -> BulkCluster:
    cluster.start_worker()
    return cluster


def patient_id(dataset: pydicom.Dataset) -> str:
    raw = dataset.get_item("PatientID")
    if raw is not None and raw.VR == "UN":
        return str(raw.value, "ascii")  # Orthanc keeps the padding of such a value
    return str(dataset.get("PatientID") or "")


def expected_instances(folder: Path) -> tuple[set[str], int, int]:
    """Public ids, number of files with an instance and of all files, as pydicom reads the folder."""
    ids: list[str] = []
    files = [path for path in folder.rglob("*") if path.is_file()]
    for path in files:
        try:
            dataset = pydicom.dcmread(path, stop_before_pixels=True)
        except InvalidDicomError:
            continue
        uids = [str(dataset.get(k, "")) for k in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")]
        if all(uids) and path.name not in DAMAGED:
            ids.append(public_ids(patient_id(dataset), *uids).instance)
    return set(ids), len(ids), len(files)


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_pydicoms_files_are_all_there_and_a_second_import_changes_nothing(working: BulkCluster) -> None:
    ids, readable, files = expected_instances(PYDICOM_FILES)

    first = working.run(PYDICOM_FILES)
    second = working.run(PYDICOM_FILES)

    assert working.instances() == sorted(ids)
    assert working.stored_files() == working.attachments()
    assert len(working.attachments()) == len(ids)
    assert first.status == second.status == 1  # some are damaged
    (job, again) = [row[0] for row in working.query("SELECT job_id FROM cluster.import_jobs ORDER BY created_at")]
    stored, already_stored, not_dicom, failed = working.counts(job)
    assert (stored, already_stored) == (len(ids), readable - len(ids))
    assert not_dicom + failed == files - readable == len(first.report)
    assert Counter(line["outcome"] for line in first.report) == {"not_dicom": not_dicom, "failed": failed}
    assert working.counts(again) == (0, readable, not_dicom, failed)
    for line in first.report:
        assert Path(line["path"]).is_file()
        assert line["member"] is None
        assert line["reason"]


def test_an_import_without_failures_ends_with_0_and_says_what_it_did(working: BulkCluster, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "1.dcm").write_bytes(make_file(SOPInstanceUID="2.25.11"))
    (tmp_path / "in" / "2.dcm").write_bytes(make_file(SOPInstanceUID="2.25.12"))
    (tmp_path / "in" / "3.dcm").write_bytes(make_file(SOPInstanceUID="2.25.12"))
    (tmp_path / "in" / "notes.txt").write_text("nothing to see")
    (tmp_path / "in" / "empty").touch()

    done = working.run(tmp_path / "in")

    assert done.status == 0
    rows = [[cell.strip() for cell in line.split("│")[1:3]] for line in done.text.splitlines() if line[:1] == "│"]
    assert rows == [["stored", "2"], ["already stored", "1"], ["not DICOM", "2"], ["failed", "0"]]
    assert [(Path(line["path"]).name, line["outcome"]) for line in done.report] == [
        ("empty", "not_dicom"),
        ("notes.txt", "not_dicom"),
    ]


def test_the_members_of_a_zip_archive_are_imported(working: BulkCluster, tmp_path: Path) -> None:
    content = make_file(SOPInstanceUID="2.25.11")
    with zipfile.ZipFile(tmp_path / "cd.ZIP", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("IMAGES/", b"")
        archive.writestr("IMAGES/IM1", content)
        archive.writestr("IMAGES/IM2", make_file(SOPInstanceUID="2.25.12"))
        archive.writestr("readme.txt", "text")
        archive.writestr("empty", b"")
        archive.writestr("more.zip", b"PK")
        archive.writestr("DICOMDIR", (PYDICOM_FILES / "dicomdirtests" / "DICOMDIR").read_bytes())
        archive.writestr("cut", content[:-50])

    done = working.run(tmp_path / "cd.ZIP")

    assert done.status == 1
    assert len(working.instances()) == 2
    assert content in [path.read_bytes() for path in working.storage.rglob("*") if path.is_file()]
    assert {(line["member"], line["outcome"]) for line in done.report} == {
        ("readme.txt", "not_dicom"),
        ("empty", "not_dicom"),
        ("more.zip", "failed"),
        ("DICOMDIR", "not_dicom"),
        ("cut", "failed"),
    }
    assert {line["path"] for line in done.report} == {str(tmp_path / "cd.ZIP")}


def test_a_file_that_only_the_command_sees_names_the_worker(
    working: BulkCluster, ledger: Ledger, tmp_path: Path
) -> None:
    """The walk was done on another machine, or the file has gone since."""
    job_id = uuid.uuid4()
    (tmp_path / "1.dcm").write_bytes(make_file())
    ledger.create_job(job_id, [tmp_path])
    ledger.add_chunk(job_id, 0, Chunk((ImportFile("/elsewhere/1.dcm"), ImportFile(str(tmp_path / "1.dcm")))))
    ledger.end_walk(job_id)

    done = working.run(resume=job_id)

    assert done.status == 1
    assert working.counts(job_id) == (1, 0, 0, 1)
    assert done.report == [
        {
            "path": "/elsewhere/1.dcm",
            "member": None,
            "outcome": "failed",
            "reason": "not found on worker worker-under-test",
        }
    ]


def test_what_is_stored_is_the_file_itself(working: BulkCluster, tmp_path: Path) -> None:
    """A large one, streamed to the storage area, in a folder whose name is not UTF-8."""
    content = make_file(PixelData=bytes(range(256)) * (12 << 12))
    folder = tmp_path / "J\udcfcrgen"
    folder.mkdir()
    (folder / "large.dcm").write_bytes(content)
    (folder / "notes").write_text("text")

    done = working.run(folder)

    assert done.status == 0
    assert done.report[0]["path"].endswith("J\\udcfcrgen/notes")
    assert working.query("SELECT compressedSize FROM AttachedFiles") == [(len(content),)]
    (stored,) = [path for path in working.storage.rglob("*") if path.is_file()]
    assert stored.read_bytes() == content
    # Metadata RemoteAET, Origin, HttpUsername, and neither RemoteIP nor CalledAET.
    assert working.query(
        "SELECT m.type, m.value FROM Metadata m JOIN Resources r ON r.internalId = m.id"
        " WHERE r.resourceType = 3 AND m.type IN (3, 8, 11, 12, 13) ORDER BY 1"
    ) == [(3, ""), (8, "RestApi"), (13, "")]


@pytest.mark.parametrize("count", [1, 2])
def test_bad_paths_are_named_before_anything_is_sent(cluster: BulkCluster, tmp_path: Path, count: int) -> None:
    (tmp_path / "1.dcm").write_bytes(make_file())
    missing = [tmp_path / f"missing-{number}" for number in range(count)]

    done = cluster.run(tmp_path / "1.dcm", *missing)

    assert done.status == 2
    assert done.text.splitlines() == [f"Cannot import {path}: No such file or directory" for path in missing]
    assert cluster.query("SELECT count(*) FROM cluster.import_jobs") == [(0,)]


def test_a_report_that_cannot_be_written_is_found_before_anything_is_sent(cluster: BulkCluster, tmp_path: Path) -> None:
    done = cluster.run(tmp_path, report=tmp_path / "missing" / "report")

    assert done.status == 2
    assert f"{tmp_path / 'missing' / 'report'}: No such file or directory" in done.text


def test_paths_and_resume_exclude_each_other(cluster: BulkCluster, tmp_path: Path) -> None:
    assert cluster.run().status == 2
    assert cluster.run(tmp_path, resume=uuid.uuid4()).status == 2
    unknown = cluster.run(resume=uuid.UUID(int=0))
    assert (unknown.status, "00000000-0000" in unknown.text) == (2, True)


def test_an_empty_folder_is_no_failure(cluster: BulkCluster, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    done = cluster.run(tmp_path / "in")
    assert done.status == 0
    assert "No files were found." in done.text


def test_a_walk_that_was_interrupted_goes_on(working: BulkCluster, ledger: Ledger, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for number in range(4):
        (folder / str(number)).write_bytes(make_file(SOPInstanceUID=f"2.25.{number + 1}"))
    (folder / "bad.zip").write_bytes(b"no archive")
    job_id = uuid.uuid4()
    ledger.create_job(job_id, [folder])
    ledger.add_chunk(job_id, 0, Chunk((ImportFile(str(folder / "0")), ImportFile(str(folder / "1")))))

    done = working.run(resume=job_id)

    assert done.status == 1
    assert working.counts(job_id) == (4, 0, 0, 1)
    shutil.rmtree(folder)
    again = working.run(resume=job_id)
    assert (again.status, again.report) == (1, done.report)
