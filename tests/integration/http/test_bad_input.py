"""What the reading routes answer to those who ask for the wrong thing, or for more than they may."""

import json
from typing import Any

import pytest

from tests.integration.http.conftest import Door
from tests.support.dicom import make_file
from tests.support.indices import connect
from workers.http import archive, exports, find, instance_tags, tools, tree

TOPICS = (archive, exports, find, instance_tags, tools, tree)
ROUTES = [(path, methods) for topic in TOPICS for path, methods in topic.ROUTES.items()]
RESOURCES = sorted(path for path, methods in ROUTES if "{id}" in path and "GET" in methods)
# Those that read their body; who may reset a node is in test_reset.py.
POSTS = sorted(path for path, methods in ROUTES if "POST" in methods and path != "/tools/reset")

INJECTIONS = (
    "' OR '1'='1",
    "'; DROP TABLE Resources; --",
    '"; DROP TABLE Resources; --',
    "\\'; DROP TABLE Resources; --",
    "$$; DROP TABLE Resources; --",
    "%(level)s",
    "%s",
    "{level}",
    "') UNION SELECT uuid FROM AttachedFiles --",
    "pg_sleep(10)",
)


@pytest.fixture
def stored(door: Door) -> dict[str, Any]:
    answer: dict[str, Any] = door.post(make_file()).json()
    return answer


def filled(path: str, public_id: str) -> str:
    return path.replace("{id}", public_id).replace("{path:path}", "0010-0010")


def resources(index_uri: str) -> int:
    with connect(index_uri) as connection:
        [(number,)] = connection.execute("SELECT count(*) FROM Resources")
        return int(number)


# Loops within a test, for a door and a database cost more than all that is asked of them here.


def test_unknown_ids(door: Door, stored: dict[str, Any]) -> None:
    for path in RESOURCES:
        # the id of a patient is no id of a study
        level = path.split("/")[1]
        other = stored["ParentPatient"] if level != "patients" else stored["ParentStudy"]
        # without "..", which clients resolve
        for public_id in ("nobody", "%00", "a%00b", "%FF", "%27", "%25s", "a" * 5000, other, *INJECTIONS):
            if "/" not in public_id:
                assert door.client.get(filled(path, public_id)).status_code == 404, (path, public_id[:50])


def test_a_node_that_is_not_ready(door: Door) -> None:
    door.reason = "waiting for the database"
    for path in RESOURCES:
        assert door.client.get(filled(path, "x")).status_code == 503, path


def test_bodies_that_are_none(door: Door, stored: dict[str, Any]) -> None:
    for path in POSTS:
        for body in (b"", b"{", b"nonsense", b"\xff\xfe", b'"text"', b"7", b"null", b"[" * 100_000, b"\0"):
            if path != "/tools/lookup":
                answer = door.client.post(filled(path, stored["ParentStudy"]), content=body)
                assert answer.status_code == 400, (path, body[:20])


def test_bodies_that_are_too_large(door: Door, stored: dict[str, Any]) -> None:
    piece = b" " * (1 << 20)
    for path in POSTS:
        for body in (piece * 5, iter([piece] * 5)):  # chunked: nothing announces it
            answer = door.client.post(filled(path, stored["ParentStudy"]), content=body)
            assert answer.status_code == 413, path


def test_searches_that_make_no_sense(door: Door, stored: dict[str, Any]) -> None:
    for fields in SENSELESS:
        answer = door.client.post("/tools/find", content=json.dumps({"Level": "Study", "Query": {}} | fields))
        assert answer.status_code == 400, str(fields)[:100]
        assert answer.json()["HttpStatus"] == 400


SENSELESS: list[dict[str, Any]] = [
    {"Level": "Everything"},
    {"Level": 1},
    {"Level": None},
    {"Query": None},
    {"Query": "PatientID"},
    {"Query": []},
    {"Query": {"PatientID": 1}},
    {"Query": {"PatientID": None}},
    {"Query": {"PatientID": ["a"]}},
    {"Query": {"NoSuchTag": "a"}},
    {"Query": {"": "a"}},
    {"Query": {"0010,00": "a"}},
    {"Query": {"PatientID": "a\0b"}},
    {"Query": {"PatientID": "\ud800"}},
    {"Query": {"PatientID": "a" * 100_000}},
    {"Query": {"StudyInstanceUID": "1.*"}},
    {"Query": {"StudyDate": "2020*"}},
    {"Query": {"StudyDate": "2020*-2021"}},
    {"Query": {"PatientID": "a*\\b"}},
    {"Query": {"InstanceNumber": "?"}},
    {"Query": {"RequestAttributesSequence": "a"}},
    {"Query": {"NumberOfStudyRelatedInstances": "1"}},
    {"Expand": "yes"},
    {"Expand": 1},
    {"CaseSensitive": 0},
    {"Limit": -1},
    {"Limit": "1"},
    {"Limit": 1.5},
    {"Limit": True},
    {"Limit": 10**30},
    {"Since": -1},
    {"Since": 2**63},
    {"RequestedTags": "PatientID"},
    {"RequestedTags": ["NoSuchTag"]},
    {"RequestedTags": [1]},
    {"ResponseContent": "Labels"},
    {"ResponseContent": ["ID"]},
    {"ResponseContent": ["Type", "Labels"]},
    {"Labels": "a"},
    {"Labels": [1]},
    {"Labels": ["\0"]},
    {"LabelsConstraint": "Some"},
    {"LabelsConstraint": None},
    {"OrderBy": "StudyDate"},
    {"OrderBy": ["StudyDate"]},
    {"OrderBy": [{}]},
    {"OrderBy": [{"Type": "DicomTag", "Key": "StudyDate"}]},
    {"OrderBy": [{"Type": "DicomTag", "Key": "StudyDate", "Direction": "UP"}]},
    {"OrderBy": [{"Type": "Tag", "Key": "StudyDate", "Direction": "ASC"}]},
    {"OrderBy": [{"Type": "DicomTagAs", "Key": "StudyDate", "Direction": "ASC"}]},
    {"OrderBy": [{"Type": "DicomTag", "Key": "Modality", "Direction": "ASC"}]},
    {"OrderBy": [{"Type": "DicomTag", "Key": "Rows", "Direction": "ASC"}]},
    {"OrderBy": [{"Type": "Metadata", "Key": "NoSuchMetadata", "Direction": "ASC"}]},
    {"ParentPatient": 1},
    {"ParentSeries": "a"},
    {"MetadataQuery": []},
    {"MetadataQuery": {"NoSuchMetadata": "a"}},
    {"MetadataQuery": {"Origin": 1}},
    {"MetadataQuery": {"99999": "a"}},
]


def test_searches_without_what_they_need(door: Door) -> None:
    for body in ({}, {"Level": "Study"}, {"Query": {}}):
        for path in ("/tools/find", "/tools/count-resources"):
            assert door.client.post(path, json=body).status_code == 400


@pytest.mark.parametrize("injection", INJECTIONS)
def test_sql_in_every_field(door: Door, stored: dict[str, Any], index_uri: str, injection: str) -> None:
    before = resources(index_uri)
    order = {"Type": "DicomTag", "Key": "StudyDate", "Direction": "ASC"}
    for fields, statuses in (
        ({"Query": {"PatientID": injection}}, (200,)),
        ({"Query": {"PatientName": f"{injection}*"}}, (200, 400)),  # no wildcards in lists
        ({"Query": {"PatientName": f"é{injection}*"}}, (200, 400)),
        ({"Query": {"StudyDate": f"{injection}-"}}, (200,)),
        ({"Query": {"StudyDate": f"-{injection}"}, "CaseSensitive": True}, (200,)),
        ({"Query": {"StudyID": f"{injection}\\x"}}, (200,)),
        ({"Query": {"ModalitiesInStudy": injection}}, (200,)),
        ({"Query": {"Modality": injection}, "CaseSensitive": True}, (200,)),
        ({"Query": {"PhotometricInterpretation": injection}}, (200,)),
        ({"Query": {injection: "x"}}, (400,)),
        ({"Level": injection}, (400,)),
        ({"Labels": [injection]}, (200,)),
        ({"Labels": [injection], "LabelsConstraint": "None"}, (200,)),
        ({"LabelsConstraint": injection}, (400,)),
        ({"ParentPatient": injection}, (200,)),
        ({"MetadataQuery": {"LastUpdate": injection}}, (200,)),
        ({"MetadataQuery": {injection: "x"}}, (400,)),
        ({"RequestedTags": [injection], "Expand": True}, (400,)),
        ({"ResponseContent": [injection]}, (400,)),
        *(({"OrderBy": [order | {field: injection}]}, (400,)) for field in order),
    ):
        answer = door.client.post("/tools/find", json={"Level": "Study", "Query": {}} | fields)
        assert answer.status_code in statuses, fields
        if answer.status_code == 200 and "LabelsConstraint" not in fields and "StudyDate" not in str(fields):
            assert answer.json() == [], fields
    assert door.client.post("/tools/lookup", content=injection).json() == []
    assert door.client.post("/tools/bulk-content", json={"Resources": [injection]}).json() == []
    assert door.client.post("/tools/create-archive", json=[injection]).status_code == 404
    for parameter in ("since", "limit", "expand", "requested-tags", "response-content", "full"):
        assert door.client.get("/studies?expand", params={parameter: injection}).status_code in (200, 400)
        assert door.client.get("/exports", params={parameter: injection}).status_code == 200
    assert door.client.get(f"{stored['Path']}/tags", params={"ignore-length": injection}).status_code == 400
    assert door.client.get(f"{stored['Path']}/content/{injection.replace('/', '')}").status_code == 404
    assert resources(index_uri) == before


def test_patterns_that_take_others_for_ever(door: Door) -> None:
    door.post(make_file(PatientName="a" * 60, ImageComments="a" * 250, LossyImageCompression="00"))
    for query in ({"PatientName": "*a" * 30 + "*b"}, {"ImageComments": "*a" * 100 + "*b"}, {"StudyID": "*é" * 100}):
        answer = door.client.post("/tools/find", json={"Level": "Instance", "Query": query}, timeout=10)
        assert (answer.status_code, answer.json()) == (200, [])


def test_bad_parameters(door: Door, stored: dict[str, Any]) -> None:
    study = f"/studies/{stored['ParentStudy']}"
    for path in (
        f"{study}?requested-tags=NoSuchTag",
        f"{study}?response-content=ID",
        f"{study}?response-content=Nonsense",
        "/studies?response-content=Type",
        f"{study}/series?requested-tags=NoSuchTag",
        f"{study}/patient?response-content=ID",
        f"{stored['Path']}/tags?ignore-length=x",
    ):
        assert door.client.get(path).status_code == 400, path


def test_archives_that_are_not_served(door: Door, stored: dict[str, Any]) -> None:
    study = f"/studies/{stored['ParentStudy']}"
    assert door.client.get(f"{study}/archive?transcode=1.2.840.10008.1.2").status_code == 501
    assert door.client.post(f"{study}/archive", json={"Transcode": "1.2"}).status_code == 501
    for fields in (
        {"Asynchronous": 1},
        {"Synchronous": "yes"},
        {"Priority": "high"},
        {"Priority": True},
        {"Priority": 1.5},
        {"Priority": 2**31},
        {"Filename": 1},
        {"Extended": "no"},
    ):
        assert door.client.post(f"{study}/archive", json=fields).status_code == 400
        assert door.client.post(f"{study}/media", json=fields).status_code == 400
        assert door.client.post("/tools/create-media", json={"Resources": [], **fields}).status_code == 400
    for body in ({}, {"Resources": "x"}, {"Resources": [1]}, [1], [None], ["\0"]):
        assert door.client.post("/tools/create-archive", json=body).status_code == 400
    answer = door.client.get(f'{study}/archive?filename=a%0d%0aX-Evil: 1"')
    assert answer.headers["content-disposition"] == 'attachment; filename="a__X-Evil: 1_"'
