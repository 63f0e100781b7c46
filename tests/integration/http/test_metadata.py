"""Metadata with revisions, against interop/rest.md 5 and interop/revisions.md."""

import hashlib
from typing import Any

import httpx
import pytest

from tests.integration.http.conftest import Door, OpenDoor
from tests.support.dicom import make_file


def md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def etag(revision: int, text: str) -> str:
    return f'"{revision}-{md5(text)}"'


@pytest.fixture
def stored(door: Door) -> dict[str, Any]:
    answer: dict[str, Any] = door.post(make_file()).json()
    return answer


def test_lists(door: Door, stored: dict[str, Any], index: str) -> None:
    path = f"/patients/{stored['ParentPatient']}/metadata"
    in_postgresql = index == "postgresql"  # the recycling order, which is a table of its own in SQLite
    usual = ["LastUpdate", "MainDicomTagsSignature", "PatientRecyclingOrder"]
    assert door.client.get(path).json() == usual[: 3 if in_postgresql else 2]
    assert door.client.get(f"{path}?numeric").json() == [7, 15, 19][: 3 if in_postgresql else 2]
    assert door.client.get(f"{path}?expand").json().keys() == set(door.client.get(path).json())
    assert not in_postgresql or door.client.get(f"{path}?expand&numeric").json()["19"] == "1"
    assert door.client.put(f"{path}/2000", content="x").status_code == 200
    assert door.client.get(path).json()[-1] == "2000"


def test_of_the_system(door: Door, stored: dict[str, Any]) -> None:
    path = f"{stored['Path']}/metadata"
    answer = door.client.get(f"{path}/Origin")
    assert (answer.text, answer.headers["etag"]) == ("RestApi", etag(0, "RestApi"))
    assert answer.headers["content-type"].startswith("text/plain")
    assert door.client.get(f"{path}/8").text == "RestApi"
    for method in ("PUT", "DELETE"):
        answer = door.client.request(method, f"{path}/Origin", content="x" if method == "PUT" else None)
        assert (answer.status_code, answer.content) == (403, b"")
    assert door.client.get(f"{path}/Origin").text == "RestApi"


def test_absent_and_unknown(door: Door, stored: dict[str, Any]) -> None:
    answer = door.client.get(f"{stored['Path']}/metadata/1024")
    assert (answer.status_code, answer.content) == (404, b"")
    answer = door.client.get(f"{stored['Path']}/metadata/NoSuchName")
    assert (answer.status_code, answer.json()["HttpStatus"]) == (404, 404)
    for method, status in (("GET", 404), ("PUT", 404), ("DELETE", 404)):
        assert door.client.request(method, "/studies/unknown/metadata/1024").status_code == status
        assert door.client.request(method, f"/studies/{stored['ID']}/metadata/1024").status_code == status
    assert door.client.get("/series/unknown/metadata").status_code == 404
    assert door.client.delete(f"{stored['Path']}/metadata/1024").status_code == 404


@pytest.mark.parametrize("level", ["ID", "ParentSeries", "ParentStudy", "ParentPatient"])
def test_revisions(door: Door, stored: dict[str, Any], level: str) -> None:
    folder = {"ID": "instances", "ParentSeries": "series", "ParentStudy": "studies", "ParentPatient": "patients"}[level]
    path = f"/{folder}/{stored[level]}/metadata/1024"
    for revision, text in enumerate(("first", "zweiter ü", "", "first")):
        answer = door.client.put(path, content=text.encode())
        assert (answer.status_code, answer.content) == (200, b"")
        assert answer.headers["etag"] == etag(revision, text)
        answer = door.client.get(path)
        assert (answer.content.decode(), answer.headers["etag"]) == (text, etag(revision, text))
    assert door.client.delete(path).status_code == 200
    assert door.client.put(path, content="again").headers["etag"] == etag(0, "again")
    changes = door.client.get("/changes?type=UpdatedMetadata").json()["Changes"]
    assert [change["ID"] for change in changes] == [stored[level]] * 6


def test_conditions(door: Door, stored: dict[str, Any]) -> None:
    path = f"{stored['Path']}/metadata/1024"
    assert door.client.put(path, content="a", headers={"If-Match": '"7-x"'}).status_code == 200  # nothing to compare
    for wrong in (etag(1, "a"), etag(0, "b"), "0-"):
        for method in ("PUT", "DELETE"):
            answer = door.client.request(method, path, headers={"If-Match": wrong})
            assert (answer.status_code, answer.json()["OrthancStatus"]) == (409, 43)
    for wrong in ("x", '"x-y"', "0", ""):
        assert door.client.put(path, content="b", headers={"If-Match": wrong}).status_code == 400
    assert door.client.get(path).text == "a"
    assert door.client.put(path, content="b", headers={"If-Match": etag(0, "a")}).status_code == 200
    assert door.client.put(path, content="c", headers={"If-Match": etag(1, "b").strip('"')}).status_code == 200
    answer = door.client.get(path, headers={"If-None-Match": etag(2, "c")})
    assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", etag(2, "c"))
    assert door.client.get(path, headers={"If-None-Match": etag(1, "c")}).status_code == 200
    assert door.client.delete(path, headers={"If-Match": etag(2, "c")}).status_code == 200


def test_with_check_revisions(open_door: OpenDoor) -> None:
    door = open_door(CheckRevisions=True)
    path = f"{door.post(make_file()).json()['Path']}/metadata/1024"
    assert door.client.get("/system").json()["CheckRevisions"] is True
    assert door.client.put(path, content="a").status_code == 200
    for method in ("PUT", "DELETE"):
        answer = door.client.request(method, path)
        assert (answer.status_code, answer.json()["OrthancStatus"]) == (409, 43)
        assert answer.json()["Details"]
    assert door.client.put(path, content="b", headers={"If-Match": etag(0, "a")}).status_code == 200
    assert door.client.delete(path, headers={"If-Match": etag(1, "b")}).status_code == 200
    assert door.client.delete(path).status_code == 404


def test_names_of_users(open_door: OpenDoor) -> None:
    door = open_door(UserMetadata={"Opinion": 1042})
    path = f"{door.post(make_file()).json()['Path']}/metadata"
    assert door.client.put(f"{path}/Opinion", content="good").status_code == 200
    assert door.client.get(f"{path}/1042").text == "good"
    assert "Opinion" in door.client.get(path).json()
    assert door.client.get("/system").json()["UserMetadata"] == {"Opinion": 1042}


@pytest.mark.parametrize("value", [b"\xff\xfe", b"a\0b"])
def test_values_that_are_no_text(door: Door, stored: dict[str, Any], value: bytes) -> None:
    answer = door.client.put(f"{stored['Path']}/metadata/1024", content=value)
    assert (answer.status_code, answer.json()["HttpStatus"]) == (400, 400)


def test_bad_names_and_bodies(door: Door, stored: dict[str, Any]) -> None:
    path = f"{stored['Path']}/metadata"
    assert door.client.put(f"{path}/65536", content="x").status_code == 400
    assert door.client.put(f"{path}/99999999999999", content="x").status_code == 404
    assert door.client.put(f"{path}/1024';--", content="x").status_code == 404
    assert door.client.put(f"{path}/1024", content=b"x" * (5 * 1024 * 1024)).status_code == 413
    assert door.client.post(f"{path}/1024", content="x").status_code == 405
    value = "'; DROP TABLE Metadata; -- %s {} \\"
    assert door.client.put(f"{path}/1024", content=value).status_code == 200
    assert door.client.get(f"{path}/1024").text == value


def test_names_of_users_in_searches_and_answers(open_door: OpenDoor) -> None:
    door = open_door(UserMetadata={"Opinion": 1042})
    seen = door.post(make_file()).json()
    door.post(make_file(PatientID="P2", StudyInstanceUID="2.25.2", SeriesInstanceUID="2.25.2.1"))
    door.client.put(f"/series/{seen['ParentSeries']}/metadata/Opinion", content="good").raise_for_status()

    def found(**fields: Any) -> httpx.Response:
        return door.client.post("/tools/find", json={"Level": "Series", "Query": {}} | fields)

    for name in ("Opinion", "1042"):
        assert found(MetadataQuery={name: "go*"}).json() == [seen["ParentSeries"]]
        assert found(MetadataQuery={name: "bad"}).json() == []
    order = [{"Type": "Metadata", "Key": "Opinion", "Direction": "DESC"}]
    assert seen["ParentSeries"] in found(OrderBy=order).json()
    assert found(MetadataQuery={"Opinions": "good"}).status_code == 400
    [series] = found(MetadataQuery={"Opinion": "good"}, ResponseContent=["Metadata"]).json()
    assert series["Metadata"]["Opinion"] == "good"
    [content] = door.client.post("/tools/bulk-content", json={"Resources": [seen["ParentSeries"]]}).json()
    assert content["Metadata"]["Opinion"] == "good"
    counted = door.client.post(
        "/tools/count-resources", json={"Level": "Series", "Query": {}, "MetadataQuery": {"Opinion": "good"}}
    )
    assert counted.json() == {"Count": 1}
