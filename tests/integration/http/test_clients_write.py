"""The clients that people use write through our nodes unchanged: pyorthanc and orthanc-api-client."""

import zipfile
from pathlib import Path
from typing import Any

import httpx
import pyorthanc
import pytest
from orthanc_api_client import OrthancApiClient
from orthanc_api_client import exceptions as api_errors

from tests.integration.http.conftest import Door, OpenDoor
from tests.support.dicom import make_dataset, make_file


@pytest.fixture
def door(open_door: OpenDoor) -> Door:
    """With names of users, and revisions that are checked."""
    return open_door(
        UserMetadata={"Opinion": 1042}, UserContentType={"report": [1050, "text/plain"]}, CheckRevisions=True
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three instances as files, two of them in an archive, too, and what is no DICOM file."""
    folder = tmp_path / "files"
    folder.mkdir()
    for number in range(3):
        (folder / f"IM{number}.dcm").write_bytes(make_file(SOPInstanceUID=f"2.25.8.{number}"))
    (folder / "notes.txt").write_text("no DICOM")
    with zipfile.ZipFile(tmp_path / "some.zip", "w") as archive:
        for number in range(2):
            archive.write(folder / f"IM{number}.dcm")
    return folder


def test_orthanc_api_client_uploads(client: OrthancApiClient, folder: Path) -> None:
    (one,) = client.upload(make_file())
    assert client.instances.exists(one)
    two = client.upload_file(str(folder.parent / "some.zip"))
    assert len(set(two)) == 2
    assert set(two) < set(client.upload_folder(str(folder), ignore_errors=True))
    with pytest.raises(api_errors.BadFileFormat):
        client.upload(b"no DICOM")
    assert sorted(client.instances.get_all_ids()) == sorted(
        {one, *client.upload_folder(str(folder), ignore_errors=True)}
    )
    study = client.instances.get_parent_study_id(one)
    with pytest.raises(api_errors.BadFileFormat):
        client.upload(b"PK\x03\x04 no archive")
    assert len(client.studies.get_instances_ids(study)) == 4


def test_orthanc_api_client_writes_metadata_with_revisions(client: OrthancApiClient) -> None:
    (instance,) = client.upload(make_file())
    series = client.instances.get_parent_series_id(instance)
    assert not client.series.has_metadata(series, "Opinion")
    client.series.set_string_metadata(series, "Opinion", "good")
    content, revision = client.series.get_string_metadata_with_revision(series, "Opinion")
    assert content == "good"
    client.series.set_string_metadata(series, "1042", "bad", match_revision=revision)
    with pytest.raises(api_errors.Conflict):
        client.series.set_string_metadata(series, "Opinion", "late", match_revision=revision)
    with pytest.raises(api_errors.Conflict):
        client.series.set_string_metadata(series, "Opinion", "unaware")
    assert client.series.get_string_metadata(series, "Opinion") == "bad"
    with pytest.raises(api_errors.NotAuthorized):
        client.series.set_string_metadata(series, "LastUpdate", "20260131T120000")
    client.series.set_binary_metadata(series, "1043", "Größe".encode())
    assert client.series.get_binary_metadata(series, "1043") == "Größe".encode()


def test_orthanc_api_client_writes_attachments_with_revisions(client: OrthancApiClient, tmp_path: Path) -> None:
    (instance,) = client.upload(make_file())
    study = client.instances.get_parent_study_id(instance)
    client.studies.set_attachment(study, "report", content="first")
    content, revision = client.studies.get_attachment_with_revision(study, "report")
    assert content == b"first"
    file = tmp_path / "second"
    file.write_bytes(bytes(range(256)) * 9000)
    client.studies.set_attachment(study, "report", path=str(file), match_revision=revision)
    with pytest.raises(api_errors.Conflict):
        client.studies.set_attachment(study, "report", content="late", match_revision=revision)
    client.studies.download_attachment(study, "report", str(tmp_path / "again"))
    assert (tmp_path / "again").read_bytes() == file.read_bytes()
    with pytest.raises(api_errors.ResourceNotFound):
        client.studies.get_attachment(study, "1051")
    with pytest.raises(api_errors.NotAuthorized):
        client.instances.set_attachment(instance, "dicom", content="x")


def test_orthanc_api_client_writes_labels_and_deletes(client: OrthancApiClient, folder: Path) -> None:
    instances = client.upload_folder(str(folder), ignore_errors=True)
    study = client.instances.get_parent_study_id(instances[0])
    client.studies.add_labels(study, ["urgent", "new"])
    client.studies.add_label(study, "new")
    assert sorted(client.studies.get_labels(study)) == ["new", "urgent"]
    client.studies.delete_label(study, "new")
    assert client.get_all_labels() == ["urgent"]
    assert [found.orthanc_id for found in client.studies.find({}, labels=["urgent"])] == [study]
    changes, last, done = client.get_changes(since=0, limit=4)
    assert (len(changes), done) == (4, False)
    more, last, done = client.get_changes(since=last, limit=1000)
    assert (more[0].sequence_id, done) == (changes[-1].sequence_id + 1, True)
    client.instances.delete(instances[0])
    with pytest.raises(api_errors.ResourceNotFound):
        client.instances.delete(instances[0])
    client.studies.delete(study)
    client.upload(make_file(PatientID="P2"))
    client.delete_all_content()
    assert client.patients.get_all_ids() == []
    assert client.get_statistics().instances_count == 0


def test_pyorthanc_uploads_and_deletes(orthanc: pyorthanc.Orthanc, folder: Path) -> None:
    instances = pyorthanc.upload(orthanc, folder / "IM0.dcm")
    assert instances[0].uid == "2.25.8.0"
    archived = pyorthanc.upload(orthanc, folder.parent / "some.zip")
    assert [instance.uid for instance in archived] == ["2.25.8.0", "2.25.8.1"]
    (folder / "notes.txt").unlink()
    assert len(pyorthanc.upload(orthanc, folder, recursive=True)) == 3
    again = pyorthanc.upload(orthanc, folder / "IM0.dcm", check_before_upload=True)
    assert again[0].identifier == instances[0].identifier
    dataset = make_dataset(PatientID="P2")
    dataset.preamble = bytes(128)
    dataset.file_meta = instances[0].get_pydicom().file_meta
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    (other,) = pyorthanc.upload(orthanc, dataset)
    assert other.parent_patient.patient_id == "P2"
    answer: Any = orthanc.delete_instances_id(other.identifier)
    assert answer["RemainingAncestor"] is None
    orthanc.post_tools_bulk_delete({"Resources": [instances[0].identifier, archived[1].identifier, "nobody"]})
    assert len(orthanc.get_instances()) == 1
    changes: Any = orthanc.get_changes()
    orthanc.delete_changes()
    emptied: Any = orthanc.get_changes()
    # Changes of what was deleted went with it, their numbers did not.
    assert emptied["Changes"] == []
    assert emptied["Last"] > changes["Last"]
    with pytest.raises(httpx.HTTPError, match="404"):
        orthanc.delete_instances_id("nobody")


@pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")
def test_pyorthanc_writes(orthanc: pyorthanc.Orthanc) -> None:
    stored: Any = orthanc.post_instances(make_file())
    patient, instance = pyorthanc.Patient(stored["ParentPatient"], orthanc), stored["ID"]
    patient.protected = True
    assert patient.protected
    patient.protected = False
    assert not patient.protected
    patient.add_label("vip")
    assert patient.labels == ["vip"]
    assert [found.identifier for found in pyorthanc.find_patients(orthanc, labels="vip")] == [patient.identifier]
    patient.remove_label("vip")
    assert patient.labels == []
    orthanc.put_instances_id_metadata_name(instance, "Opinion", "good")
    assert orthanc.get_instances_id_metadata_name(instance, "Opinion") in ("good", b"good")
    with pytest.raises(httpx.HTTPError, match="409"):
        orthanc.put_instances_id_metadata_name(instance, "Opinion", "unaware")
    orthanc.put_instances_id_attachments_name(instance, "report", b"seen")
    orthanc.post_instances_id_attachments_name_compress(instance, "report")
    assert orthanc.get_instances_id_attachments_name_data(instance, "report") in ("seen", b"seen")
    orthanc.post_instances_id_attachments_name_verify_md5(instance, "report")
    with pytest.raises(httpx.HTTPError, match="409"):
        orthanc.delete_instances_id_attachments_name(instance, "report")
    assert "report" in orthanc.get_instances_id_attachments(instance)
