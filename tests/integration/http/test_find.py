"""POST /tools/find, /tools/count-resources and /tools/lookup, against interop/rest.md 8 and interop/tags.md 2."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.integration.http.conftest import Door
from tests.support.dicom import make_file
from tests.support.indices import connect

Find = Callable[..., Any]


@pytest.fixture
def find(door: Door) -> Find:
    """The answer to a query for studies, unless another level is given."""

    def ask(query: dict[str, str], level: str = "Study", **fields: Any) -> Any:
        answer = door.client.post("/tools/find", json={"Level": level, "Query": query, **fields})
        assert answer.status_code == 200, answer.text
        return answer.json()

    return ask


@pytest.fixture
def studies(door: Door) -> dict[str, dict[str, Any]]:
    """Answers to the uploads of four studies, by PatientID."""
    described = {
        "P1": {"PatientName": "Müller^Jörg Émile", "StudyDate": "20200105", "Modality": "CT"},
        "P2": {"PatientName": "Smith^John", "StudyDate": "20210630", "Modality": "MR"},
        "P3": {"PatientName": "SMITHERS^ANN", "StudyDate": "20221231", "Modality": "CT"},
        "P_4": {"PatientName": "O'Neil^50%", "StudyDate": "20230101", "Modality": "US"},
    }
    return {
        patient: door.post(
            make_file(
                PatientID=patient,
                SpecificCharacterSet="ISO_IR 192",
                StudyInstanceUID=f"2.25.{number}",
                SeriesInstanceUID=f"2.25.{number}.1",
                AccessionNumber=f"A{number}",
                StudyID=str(number),
                **keywords,
            )
        ).json()
        for number, (patient, keywords) in enumerate(described.items(), start=1)
    }


@pytest.fixture
def patients(find: Find, studies: dict[str, dict[str, Any]]) -> Callable[..., list[str]]:
    """PatientIDs of the studies that a query finds."""
    by_id = {answer["ParentStudy"]: patient for patient, answer in studies.items()}

    def found(query: dict[str, str], **fields: Any) -> list[str]:
        return sorted(by_id[public_id] for public_id in find(query, **fields))

    return found


Patients = Callable[..., list[str]]


def test_everything_and_nothing(patients: Patients) -> None:
    assert patients({}) == ["P1", "P2", "P3", "P_4"]
    assert patients({"PatientID": ""}) == ["P1", "P2", "P3", "P_4"]
    assert patients({"PatientID": "P9"}) == []


def test_names_of_tags(patients: Patients) -> None:
    for name in ("PatientID", "0010,0020", "0010-0020", "00100020"):
        assert patients({name: "P2"}) == ["P2"]


def test_case(patients: Patients) -> None:
    assert patients({"PatientName": "smith^john"}) == ["P2"]
    assert patients({"PatientName": "smith^john"}, CaseSensitive=True) == []
    assert patients({"PatientName": "SMITH^JOHN"}, CaseSensitive=True) == []
    assert patients({"PatientName": "Smith^John"}, CaseSensitive=True) == ["P2"]
    assert patients({"StudyDescription": "HEAD"}) == ["P1", "P2", "P3", "P_4"]


def test_wildcards(patients: Patients) -> None:
    assert patients({"PatientName": "smith*"}) == ["P2", "P3"]
    assert patients({"PatientName": "*"}) == ["P1", "P2", "P3", "P_4"]
    assert patients({"PatientName": "smit?^john"}) == ["P2"]
    assert patients({"PatientName": "Smith*"}, CaseSensitive=True) == ["P2"]
    assert patients({"PatientID": "P?"}) == ["P1", "P2", "P3"]
    assert patients({"PatientID": "P?4"}) == ["P_4"]


def test_what_is_special_to_sql_is_literal(patients: Patients) -> None:
    assert patients({"PatientName": "O'Neil^50%"}) == ["P_4"]
    assert patients({"PatientName": "%"}) == []
    assert patients({"PatientName": "%*"}) == []
    assert patients({"PatientID": "P_"}) == []
    assert patients({"PatientID": "P_4"}) == ["P_4"]
    assert patients({"StudyID": "_"}) == []


def test_letters_that_are_not_ascii(patients: Patients) -> None:
    assert patients({"PatientName": "müller^jörg émile"}) == ["P1"]
    assert patients({"PatientName": "MÜLLER^JÖRG ÉMILE"}) == ["P1"]
    assert patients({"PatientName": "mü*"}) == ["P1"]
    assert patients({"PatientName": "mu*"}) == []
    # identifiers have lost their accents, so there is nothing between M and LL (interop/tags.md 2)
    assert patients({"PatientName": "*m?ll*"}) == []
    assert patients({"PatientName": "mller^jrg mile"}) == []


def test_lists(patients: Patients) -> None:
    assert patients({"PatientID": "P1\\P3\\P9"}) == ["P1", "P3"]
    assert patients({"PatientName": "smith^john\\SMITHERS^ANN"}) == ["P2", "P3"]
    assert patients({"StudyInstanceUID": "2.25.1\\2.25.4"}) == ["P1", "P_4"]


def test_ranges(patients: Patients) -> None:
    assert patients({"StudyDate": "20210101-20221231"}) == ["P2", "P3"]
    assert patients({"StudyDate": "20221231-"}) == ["P3", "P_4"]
    assert patients({"StudyDate": "-20210630"}) == ["P1", "P2"]
    assert patients({"StudyDate": "-"}) == ["P1", "P2", "P3", "P_4"]
    assert patients({"StudyDate": "20200105"}) == ["P1"]


def test_a_hyphen_is_a_range_in_dates_and_times_only(find: Find, door: Door) -> None:
    stored = door.post(make_file(PatientID="A-B")).json()
    assert find({"PatientID": "A-B"}) == [stored["ParentStudy"]]


def test_other_main_tags_than_identifiers(patients: Patients) -> None:
    assert patients({"StudyID": "3"}) == ["P3"]
    assert patients({"StudyID": "3\\4"}) == ["P3", "P_4"]


def test_tags_of_the_levels_above(find: Find, studies: dict[str, dict[str, Any]]) -> None:
    for level, field in (("Patient", "ParentPatient"), ("Series", "ParentSeries"), ("Instance", "ID")):
        assert find({"PatientID": "P2", "PatientName": "SMITH*"}, level) == [studies["P2"][field]]
    assert find({"PatientID": "P2", "Modality": "MR", "StudyDate": "2021-2022"}, "Instance") == [studies["P2"]["ID"]]
    assert find({"PatientID": "P2", "Modality": "CT"}, "Instance") == []


def test_tags_of_the_levels_below(find: Find, patients: Patients, studies: dict[str, dict[str, Any]]) -> None:
    assert patients({"Modality": "CT"}) == ["P1", "P3"]
    assert patients({"SeriesInstanceUID": "2.25.2.1"}) == ["P2"]
    assert find({"StudyDate": "2021-"}, "Patient", Limit=9) == sorted(
        studies[patient]["ParentPatient"] for patient in ("P2", "P3", "P_4")
    )
    assert find({"InstanceNumber": "1", "PatientID": "P1"}, "Patient") == [studies["P1"]["ParentPatient"]]


def test_modalities_in_study(door: Door, patients: Patients) -> None:
    door.post(make_file(PatientID="P1", StudyInstanceUID="2.25.1", SeriesInstanceUID="2.25.1.2", Modality="PT"))
    assert patients({"ModalitiesInStudy": "PT"}) == ["P1"]
    assert patients({"ModalitiesInStudy": "PT\\US"}) == ["P1", "P_4"]
    assert patients({"ModalitiesInStudy": "c?"}) == ["P1", "P3"]


def test_paging(find: Find, studies: dict[str, dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    everything = sorted(answer["ParentStudy"] for answer in studies.values())
    monkeypatch.setattr("cluster.index.find.IDS_PER_PAGE", 2)
    assert find({}) == everything
    for since in range(6):
        for limit in range(6):
            expected = everything[since : since + limit] if limit else everything[since:]
            assert find({}, Since=since, Limit=limit) == expected
    assert find({}, Since=2**62, Limit=2**62) == []


def test_order(find: Find, studies: dict[str, dict[str, Any]], door: Door) -> None:
    ids = {patient: answer["ParentStudy"] for patient, answer in studies.items()}
    by_date = [ids[patient] for patient in ("P1", "P2", "P3", "P_4")]

    def ordered(kind: str, key: str, direction: str, **fields: Any) -> Any:
        return find({}, OrderBy=[{"Type": kind, "Key": key, "Direction": direction}], **fields)

    assert ordered("DicomTag", "StudyDate", "ASC") == by_date
    assert ordered("DicomTag", "StudyDate", "DESC") == by_date[::-1]
    assert ordered("DicomTagAsInt", "StudyID", "DESC", Limit=2) == by_date[:1:-1]
    assert ordered("DicomTagAsFloat", "StudyID", "DESC", Since=1, Limit=2) == by_date[2:0:-1]
    assert len(ordered("Metadata", "LastUpdate", "ASC")) == 4
    stored = door.post(make_file(PatientID="P5", StudyInstanceUID="2.25.5", StudyID="eleven")).json()
    assert ordered("DicomTagAsInt", "StudyID", "ASC")[-1] == stored["ParentStudy"]
    assert ordered("DicomTagAsInt", "StudyID", "DESC")[-1] == stored["ParentStudy"]


def test_integers_are_sorted_as_numbers(find: Find, door: Door) -> None:
    stored = [door.post(make_file(InstanceNumber=number)).json()["ID"] for number in (10, 9, 100)]
    for kind, key in (("DicomTagAsInt", "InstanceNumber"), ("MetadataAsInt", "IndexInSeries")):
        order = [{"Type": kind, "Key": key, "Direction": "ASC"}]
        assert find({}, "Instance", OrderBy=order) == [stored[1], stored[0], stored[2]]
    order = [{"Type": "DicomTag", "Key": "InstanceNumber", "Direction": "ASC"}]
    assert find({}, "Instance", OrderBy=order) == [stored[0], stored[2], stored[1]]


def test_too_many_to_be_sorted(door: Door, studies: dict[str, dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cluster.index.find.MAXIMUM_SORTED", 3)
    body = {"Level": "Study", "Query": {}, "OrderBy": [{"Type": "DicomTag", "Key": "StudyID", "Direction": "ASC"}]}
    assert door.client.post("/tools/find", json=body).status_code == 400
    assert len(door.client.post("/tools/find", json=body | {"Limit": 3}).json()) == 3


def test_labels(patients: Patients, studies: dict[str, dict[str, Any]], index_uri: str) -> None:
    with connect(index_uri) as connection:
        for patient, labels in (("P1", "ab"), ("P2", "b"), ("P3", "c")):
            for label in labels:
                connection.execute(
                    "INSERT INTO Labels (id, label) SELECT internalId, %s FROM Resources WHERE publicId = %s",
                    (label, studies[patient]["ParentStudy"]),
                )
    assert patients({}, Labels=["b"]) == ["P1", "P2"]
    assert patients({}, Labels=["a", "b", "a"]) == ["P1"]
    assert patients({}, Labels=["a", "c"], LabelsConstraint="Any") == ["P1", "P3"]
    assert patients({}, Labels=["a", "c"], LabelsConstraint="None") == ["P2", "P_4"]
    assert patients({}, Labels=[], LabelsConstraint="None") == ["P_4"]
    for constraint in ("All", "Any"):
        assert patients({}, Labels=[], LabelsConstraint=constraint) == ["P1", "P2", "P3", "P_4"]
    assert patients({"PatientID": "P2"}, Labels=["b"]) == ["P2"]


def test_parents(find: Find, studies: dict[str, dict[str, Any]]) -> None:
    first = studies["P1"]
    assert find({}, "Instance", ParentPatient=first["ParentPatient"]) == [first["ID"]]
    assert find({}, "Instance", ParentStudy=first["ParentStudy"]) == [first["ID"]]
    assert find({}, "Instance", ParentSeries=first["ParentSeries"]) == [first["ID"]]
    assert find({}, "Series", ParentStudy=first["ParentStudy"]) == [first["ParentSeries"]]
    assert find({}, "Study", ParentStudy=first["ParentStudy"]) == [first["ParentStudy"]]
    assert find({"Modality": "MR"}, "Instance", ParentStudy=first["ParentStudy"]) == []
    # of another level, and unknown
    assert find({}, "Instance", ParentStudy=first["ParentSeries"]) == []
    assert find({}, "Instance", ParentStudy="nobody") == []


def test_metadata(find: Find, studies: dict[str, dict[str, Any]]) -> None:
    assert len(find({}, "Instance", MetadataQuery={"SopClassUid": "1.2.840.10008.5.1.4.1.1.2"})) == 4
    assert len(find({}, "Instance", MetadataQuery={"Origin": "rest*"})) == 4
    assert find({}, "Instance", MetadataQuery={"Origin": "rest*"}, CaseSensitive=True) == []
    assert find({}, "Instance", MetadataQuery={"1": "2"}) == []
    assert find({}, "Instance", MetadataQuery={"1024": "x"}) == []


def test_expanded(find: Find, studies: dict[str, dict[str, Any]], door: Door) -> None:
    (study,) = find({"PatientID": "P2"}, Expand=True)
    assert study == door.client.get(f"/studies/{studies['P2']['ParentStudy']}").json()
    (study,) = find({"PatientID": "P2"}, Expand=True, Short=True)
    assert study["PatientMainDicomTags"]["0010,0020"] == "P2"
    (study,) = find({"PatientID": "P2"}, Expand=True, Full=True)
    assert study["MainDicomTags"]["0020,0010"] == {"Name": "StudyID", "Type": "String", "Value": "2"}


def test_expanded_ones_keep_their_order(find: Find, studies: dict[str, dict[str, Any]]) -> None:
    order = [{"Type": "DicomTag", "Key": "StudyDate", "Direction": "DESC"}]
    found = find({}, Expand=True, OrderBy=order)
    dates = [study["MainDicomTags"]["StudyDate"] for study in found]
    assert dates == sorted(dates, reverse=True)


def test_requested_tags(find: Find, studies: dict[str, dict[str, Any]], door: Door) -> None:
    door.post(make_file(PatientID="P1", StudyInstanceUID="2.25.1", SeriesInstanceUID="2.25.1.2", Modality="PT"))
    names = [
        "PatientID",
        "StudyDate",
        "ModalitiesInStudy",
        "SOPClassesInStudy",
        "NumberOfPatientRelatedStudies",
        "NumberOfPatientRelatedSeries",
        "NumberOfPatientRelatedInstances",
        "NumberOfStudyRelatedSeries",
        "NumberOfStudyRelatedInstances",
        "InstanceAvailability",
        "Rows",
        "WindowCenter",
    ]
    (study,) = find({"PatientID": "P1"}, Expand=True, RequestedTags=names)
    assert study["RequestedTags"] == {
        "PatientID": "P1",
        "StudyDate": "20200105",
        "ModalitiesInStudy": "CT\\PT",
        "SOPClassesInStudy": "1.2.840.10008.5.1.4.1.1.2",
        "NumberOfPatientRelatedStudies": "1",
        "NumberOfPatientRelatedSeries": "2",
        "NumberOfPatientRelatedInstances": "2",
        "NumberOfStudyRelatedSeries": "2",
        "NumberOfStudyRelatedInstances": "2",
        "InstanceAvailability": "ONLINE",
        "Rows": "8",
    }
    (instance,) = find(
        {"PatientID": "P2"}, "Instance", Expand=True, RequestedTags=["NumberOfSeriesRelatedInstances", "PatientName"]
    )
    assert instance["RequestedTags"] == {"NumberOfSeriesRelatedInstances": "1", "PatientName": "Smith^John"}


def test_response_content(find: Find, studies: dict[str, dict[str, Any]]) -> None:
    (study,) = find({"PatientID": "P2"}, ResponseContent=["MainDicomTags"])
    assert sorted(study) == ["ID", "MainDicomTags", "PatientMainDicomTags", "Type"]
    (study,) = find({"PatientID": "P2"}, ResponseContent=[])
    assert study == {"ID": studies["P2"]["ParentStudy"], "Type": "Study"}
    (instance,) = find({"PatientID": "P2"}, "Instance", ResponseContent=["Metadata", "Attachments", "Parent"])
    assert instance["ParentSeries"] == studies["P2"]["ParentSeries"]
    assert instance["Metadata"]["Origin"] == "RestApi"
    (attachment,) = instance["Attachments"]
    assert attachment["ContentType"] == 1
    assert attachment["CompressedSize"] == attachment["UncompressedSize"] > 0
    assert attachment["CompressedMD5"] == attachment["UncompressedMD5"]


def test_tags_that_are_in_files_only(door: Door, find: Find) -> None:
    wide = door.post(make_file(PatientID="W", Rows=16, Columns=4, StudyInstanceUID="2.25.8")).json()
    door.post(make_file(PatientID="N", StudyInstanceUID="2.25.9"))
    assert find({"Rows": "16"}) == [wide["ParentStudy"]]
    assert find({"Rows": "16", "PatientID": "N"}) == []
    assert find({"PhotometricInterpretation": "mono*"}, Limit=1, Expand=True)[0]["Type"] == "Study"
    assert len(find({"PhotometricInterpretation": "mono*"}, "Instance")) == 2
    assert find({"PhotometricInterpretation": "mono*"}, CaseSensitive=True) == []
    body = {"Level": "Study", "Query": {"Rows": "16"}, "Since": 1}
    assert door.client.post("/tools/find", json=body).status_code == 400


def test_count(door: Door, studies: dict[str, dict[str, Any]]) -> None:
    def count(**fields: Any) -> Any:
        answer = door.client.post("/tools/count-resources", json={"Level": "Study", "Query": {}, **fields})
        return answer.json()["Count"] if answer.status_code == 200 else answer.status_code

    assert count() == 4
    assert count(Query={"PatientName": "smith*"}) == 2
    assert count(Query={"Modality": "CT"}) == 2
    assert count(Level="Instance", Query={"StudyDate": "2021-2022"}) == 1
    assert count(LabelsConstraint="None") == 4
    assert count(Query={"Rows": "16"}) == 400
    assert count(CaseSensitive=True) == 400


def test_lookup(door: Door, studies: dict[str, dict[str, Any]]) -> None:
    def look(text: str) -> Any:
        return door.client.post("/tools/lookup", content=text.encode()).json()

    stored = studies["P2"]
    assert look("P2") == [
        {"ID": stored["ParentPatient"], "Path": f"/patients/{stored['ParentPatient']}", "Type": "Patient"}
    ]
    assert look("2.25.2") == look("A2")
    assert look("A2")[0]["Type"] == "Study"
    assert look("2.25.2.1")[0]["ID"] == stored["ParentSeries"]
    # an underscore is no space, though identifiers have one instead (interop/tags.md 2)
    assert [found["ID"] for found in look("P_4")] == [studies["P_4"]["ParentPatient"]]
    for text in ("p2", "", "Smith^John", "x" * 1000, "' OR 1=1 --", "P%", "\0"):
        assert look(text) == []
