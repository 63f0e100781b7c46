"""The clients that people use, unchanged, on our nodes: pyorthanc and orthanc-api-client."""

import io
import zipfile
from pathlib import Path
from typing import Any

import pyorthanc
import pytest
from orthanc_api_client import LabelsConstraint, OrthancApiClient, ResourceNotFound

from tests.integration.http.conftest import Door
from tests.support.dicom import make_file
from tests.support.indices import connect


@pytest.fixture
def stored(door: Door, index_uri: str) -> list[dict[str, Any]]:
    """Three studies of two patients, the first one with two series and a label."""
    described = (("P1", 1, 1, "CT"), ("P1", 1, 2, "PT"), ("P1", 2, 1, "CT"), ("P2", 3, 1, "MR"))
    answers = [
        door.post(
            make_file(
                PatientID=patient,
                PatientName=f"Doe^{patient}",
                StudyInstanceUID=f"2.25.{study}",
                SeriesInstanceUID=f"2.25.{study}.{series}",
                StudyDate=f"202{study}0101",
                Modality=modality,
            )
        ).json()
        for patient, study, series, modality in described
    ]
    with connect(index_uri) as connection:
        connection.execute(
            "INSERT INTO Labels (id, label) SELECT internalId, 'urgent' FROM Resources WHERE publicId = %s",
            (answers[0]["ParentStudy"],),
        )
    return answers


def test_orthanc_api_client_reads(client: OrthancApiClient, stored: list[dict[str, Any]], tmp_path: Path) -> None:
    first = stored[0]
    assert client.is_alive()
    assert client.get_statistics().studies_count == 3
    assert sorted(client.studies.get_all_ids()) == sorted({answer["ParentStudy"] for answer in stored})
    study = client.studies.get(first["ParentStudy"])
    assert study.main_dicom_tags.get("StudyInstanceUID") == "2.25.1"
    assert study.patient_main_dicom_tags.get("PatientName") == "Doe^P1"
    assert study.labels == ["urgent"]
    assert (study.statistics.instances_count, study.statistics.series_count) == (2, 2)
    assert {series.main_dicom_tags.get("Modality") for series in study.series} == {"CT", "PT"}
    assert client.studies.get_modalities(first["ParentStudy"]) == {"CT", "PT"}
    assert client.studies.get_parent_patient_id(first["ParentStudy"]) == first["ParentPatient"]
    assert sorted(client.studies.get_instances_ids(first["ParentStudy"])) == sorted(
        answer["ID"] for answer in stored[:2]
    )
    instances = client.studies.get_instances(first["ParentStudy"])
    assert {instance.orthanc_id for instance in instances} == {answer["ID"] for answer in stored[:2]}
    assert client.instances.get_tags(first["ID"])["PatientID"] == "P1"
    assert client.studies.get_tags(first["ParentStudy"])["PatientID"] == "P1"
    downloaded = client.studies.download_instances(first["ParentStudy"], str(tmp_path))
    assert len(downloaded) == 2
    changes, _, done = client.get_changes()
    assert done
    assert changes
    with pytest.raises(ResourceNotFound):
        client.studies.get_json("nobody")


def test_orthanc_api_client_searches(client: OrthancApiClient, stored: list[dict[str, Any]]) -> None:
    def found(query: dict[str, str], **fields: Any) -> list[str]:
        return [study.main_dicom_tags.get("StudyInstanceUID") for study in client.studies.find(query, **fields)]

    assert sorted(found({"PatientName": "Doe^P1"})) == ["2.25.1", "2.25.2"]
    assert found({"PatientName": "DOE*"}, case_sensitive=True) == []
    assert len(found({"PatientName": "doe*"}, case_sensitive=False)) == 3
    assert found({}, labels=["urgent"]) == ["2.25.1"]
    assert len(found({}, labels=["urgent"], labels_constraint=LabelsConstraint.NONE)) == 2
    newest = [{"Type": "DicomTag", "Key": "StudyDate", "Direction": "DESC"}]
    assert found({"StudyDate": "20200101-20251231"}, order_by=newest, limit=2) == ["2.25.3", "2.25.2"]
    (study,) = client.studies.find({"ModalitiesInStudy": "PT"}, requested_tags=["NumberOfStudyRelatedInstances"])
    assert study.requested_tags.get("NumberOfStudyRelatedInstances") == "2"
    assert client.studies.lookup("2.25.3") == stored[3]["ParentStudy"]
    assert client.lookup("P2") == [stored[3]["ParentPatient"]]
    assert client.studies.lookup("2.25.9") is None


def test_pyorthanc_reads(orthanc: pyorthanc.Orthanc, stored: list[dict[str, Any]]) -> None:
    first = stored[0]
    assert orthanc.get_system()["DatabaseVersion"] == 6
    patient = pyorthanc.Patient(first["ParentPatient"], orthanc)
    assert (patient.patient_id, patient.name) == ("P1", "Doe^P1")
    assert sorted(study.uid for study in patient.studies) == ["2.25.1", "2.25.2"]
    study = pyorthanc.Study(first["ParentStudy"], orthanc)
    assert study.parent_patient.identifier == first["ParentPatient"]
    assert study.labels == ["urgent"]
    assert sorted(series.modality for series in study.series) == ["CT", "PT"]
    assert study.get_shared_tags(simplify=True)["PatientID"] == "P1"
    with zipfile.ZipFile(io.BytesIO(study.get_zip())) as archive:
        assert len(archive.namelist()) == 2
    series = pyorthanc.Series(first["ParentSeries"], orthanc)
    assert [instance.identifier for instance in series.instances] == [first["ID"]]
    instance = pyorthanc.Instance(first["ID"], orthanc)
    assert instance.simplified_tags["Modality"] == "CT"
    assert instance.tags["0008,0060"]["Value"] == "CT"
    assert instance.get_content_by_tag("0008-0060").strip() in ("CT", b"CT")
    assert instance.get_pydicom().PatientID == "P1"
    assert instance.parent_patient.identifier == first["ParentPatient"]


def test_pyorthanc_searches(orthanc: pyorthanc.Orthanc, stored: list[dict[str, Any]]) -> None:
    def uids(studies: list[Any]) -> list[str]:
        return sorted(study.uid for study in studies)

    assert uids(pyorthanc.find_studies(orthanc, {"PatientID": "P1"})) == ["2.25.1", "2.25.2"]
    assert uids(pyorthanc.find_studies(orthanc, labels="urgent")) == ["2.25.1"]
    # it asks for page after page until one is empty
    assert len(pyorthanc.query_orthanc(orthanc, "Instance", limit=1)) == len(stored)
    (patient,) = pyorthanc.find_patients(orthanc, {"PatientName": "doe^p2"})
    assert patient.identifier == stored[3]["ParentPatient"]
    assert len(pyorthanc.find_series(orthanc, {"Modality": "CT"})) == 2
    assert len(pyorthanc.find_instances(orthanc, {"StudyDate": "20210101-20220101"})) == 3
