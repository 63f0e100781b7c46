"""Parents, children, statistics, requested tags and response content, against interop/rest.md 4."""

from typing import Any

import pytest

from tests.integration.http.conftest import Door
from tests.support.dicom import make_file

STORED = (("P1", "1", "1"), ("P1", "1", "1"), ("P1", "1", "2"), ("P1", "2", "1"), ("P2", "3", "1"))
"""Patient, study and series of five instances."""


@pytest.fixture
def stored(door: Door) -> list[dict[str, Any]]:
    return [
        door.post(
            make_file(PatientID=patient, StudyInstanceUID=f"2.25.{study}", SeriesInstanceUID=f"2.25.{study}.{series}")
        ).json()
        for patient, study, series in STORED
    ]


def ids(resources: list[dict[str, Any]]) -> list[str]:
    return [resource["ID"] for resource in resources]


def test_children(door: Door, stored: list[dict[str, Any]]) -> None:
    first = stored[0]
    for path, field, instances in (
        (f"/patients/{first['ParentPatient']}/studies", "ParentStudy", stored[:4]),
        (f"/patients/{first['ParentPatient']}/series", "ParentSeries", stored[:4]),
        (f"/patients/{first['ParentPatient']}/instances", "ID", stored[:4]),
        (f"/studies/{first['ParentStudy']}/series", "ParentSeries", stored[:3]),
        (f"/studies/{first['ParentStudy']}/instances", "ID", stored[:3]),
        (f"/series/{first['ParentSeries']}/instances", "ID", stored[:2]),
    ):
        expected = sorted({instance[field] for instance in instances})
        assert door.client.get(f"{path}?expand=false").json() == expected
        children = door.client.get(path).json()
        assert ids(children) == expected
        level = path.split("/")[3]
        assert children[0] == door.client.get(f"/{level}/{expected[0]}").json()


def test_children_in_several_pages(door: Door, stored: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cluster.index.find.IDS_PER_PAGE", 1)
    monkeypatch.setattr("workers.http.expansion.RESOURCES_PER_PAGE", 1)
    found = door.client.get(f"/patients/{stored[0]['ParentPatient']}/instances").json()
    assert ids(found) == sorted(instance["ID"] for instance in stored[:4])


def test_parents(door: Door, stored: list[dict[str, Any]]) -> None:
    first = stored[0]
    for path, level, expected in (
        (f"/instances/{first['ID']}/series", "series", first["ParentSeries"]),
        (f"/instances/{first['ID']}/study", "studies", first["ParentStudy"]),
        (f"/instances/{first['ID']}/patient", "patients", first["ParentPatient"]),
        (f"/series/{first['ParentSeries']}/study", "studies", first["ParentStudy"]),
        (f"/series/{first['ParentSeries']}/patient", "patients", first["ParentPatient"]),
        (f"/studies/{first['ParentStudy']}/patient", "patients", first["ParentPatient"]),
    ):
        assert door.client.get(path).json() == door.client.get(f"/{level}/{expected}").json()


def test_statistics(door: Door, stored: list[dict[str, Any]]) -> None:
    first = stored[0]
    for path, counts in (
        (f"/patients/{first['ParentPatient']}", {"CountStudies": 2, "CountSeries": 3, "CountInstances": 4}),
        (f"/studies/{first['ParentStudy']}", {"CountSeries": 2, "CountInstances": 3}),
        (f"/series/{first['ParentSeries']}", {"CountInstances": 2}),
        (f"/instances/{first['ID']}", {}),
    ):
        found = door.client.get(f"{path}/statistics").json()
        size = sum_of(door, path)
        for name in ("DiskSize", "UncompressedSize", "DicomDiskSize", "DicomUncompressedSize"):
            assert found.pop(name) == str(size)
            assert found.pop(f"{name}MB") == 0
        assert found == counts


def sum_of(door: Door, path: str) -> int:
    """Bytes of all instances at or below a path."""
    if path.startswith("/instances"):
        return int(door.client.get(path).json()["FileSize"])
    return sum(instance["FileSize"] for instance in door.client.get(f"{path}/instances").json())


def test_requested_tags(door: Door, stored: list[dict[str, Any]]) -> None:
    first = stored[0]
    query = "requested-tags=NumberOfStudyRelatedInstances;PatientName;0008,0060;SamplesPerPixel"
    expected = {
        "Modality": "CT",
        "NumberOfStudyRelatedInstances": "3",
        "PatientName": "Doe^Jane",
        "SamplesPerPixel": "1",
    }
    for path in (
        f"/studies/{first['ParentStudy']}",
        f"/series/{first['ParentSeries']}",
        f"/instances/{first['ID']}",
        f"/series/{first['ParentSeries']}/study",
    ):
        assert door.client.get(f"{path}?{query}").json()["RequestedTags"] == expected
    patient = door.client.get(f"/patients/{first['ParentPatient']}?{query}").json()
    assert "NumberOfStudyRelatedInstances" not in patient["RequestedTags"]
    listed = door.client.get(f"/studies?expand&short&{query.replace('requested-tags', 'requestedTags')}").json()
    assert {study["RequestedTags"]["0020,1208"] for study in listed} == {"3", "1"}
    children = door.client.get(f"/patients/{first['ParentPatient']}/studies?full&{query}").json()
    assert children[0]["RequestedTags"]["0008,0060"] == {"Name": "Modality", "Type": "String", "Value": "CT"}


def test_a_requested_sequence(door: Door) -> None:
    from pydicom.dataset import Dataset

    request, procedure = Dataset(), Dataset()
    request.RequestedProcedureID = "A10"
    procedure.CodeMeaning = "Chest"
    stored = door.post(make_file(RequestAttributesSequence=[request], ProcedureCodeSequence=[procedure])).json()
    query = "requested-tags=RequestAttributesSequence;ProcedureCodeSequence"
    series = door.client.get(f"/series/{stored['ParentSeries']}?{query}").json()
    assert series["RequestedTags"] == {
        "ProcedureCodeSequence": [{"CodeMeaning": "Chest"}],
        "RequestAttributesSequence": [{"RequestedProcedureID": "A10"}],
    }
    series = door.client.get(f"/series/{stored['ParentSeries']}?full&{query}").json()
    assert series["RequestedTags"]["0040,0275"]["Type"] == "Sequence"


def test_response_content(door: Door, stored: list[dict[str, Any]]) -> None:
    study = stored[0]["ParentStudy"]
    found = door.client.get(f"/studies/{study}?response-content=Labels;Children").json()
    assert sorted(found) == ["ID", "Labels", "Series", "Type"]
    # it expands a list, too
    listed = door.client.get("/series?response-content=Parent").json()
    assert sorted(listed[0]) == ["ID", "ParentStudy", "Type"]
    found = door.client.get(f"/studies/{study}?response-content=RequestedTags&requested-tags=StudyDate").json()
    assert found == {"ID": study, "Type": "Study", "RequestedTags": {"StudyDate": "20260131"}}
    patient = stored[0]["ParentPatient"]
    found = door.client.get(f"/patients/{patient}?response-content=IsStable;IsProtected;Status").json()
    assert sorted(found) == ["ID", "IsProtected", "IsStable", "Type"]
    found = door.client.get(f"/instances/{stored[0]['ID']}?response-content=Metadata").json()
    assert found["Metadata"]["TransferSyntax"] == "1.2.840.10008.1.2.1"


def test_bulk_content(door: Door, stored: list[dict[str, Any]]) -> None:
    first = stored[0]
    wanted = [first["ID"], "nobody", first["ParentPatient"]]
    found = door.client.post("/tools/bulk-content", json={"Resources": wanted}).json()
    assert [resource["Type"] for resource in found] == ["Instance", "Patient"]
    assert found[0]["Metadata"]["Origin"] == "RestApi"
    found = door.client.post("/tools/bulk-content", json={"Resources": wanted, "Level": "Patient", "Metadata": False})
    assert found.json() == [door.client.get(f"/patients/{first['ParentPatient']}").json()]
