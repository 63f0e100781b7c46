"""Lists, details and files, against interop/rest.md 4."""

import json
import struct
import zlib
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.integration.http.conftest import Door, eventually
from tests.support.dicom import make_file
from tests.support.indices import connect


@pytest.fixture
def stored(door: Door) -> dict[str, Any]:
    """The answer to one upload with non-ASCII text."""
    answer: dict[str, Any] = door.post(
        make_file(SpecificCharacterSet="ISO_IR 192", PatientName="Müller^Jörg", InstanceNumber=7, Modality="MR")
    ).json()
    return answer


def test_nothing(door: Door) -> None:
    for level in ("patients", "studies", "series", "instances"):
        for query in ("", "?expand", "?since=0&limit=10"):
            answer = door.client.get(f"/{level}{query}")
            assert (answer.status_code, answer.json()) == (200, [])
            assert answer.headers["content-type"] == "application/json; charset=utf-8"
        answer = door.client.get(f"/{level}/nobody")
        assert (answer.status_code, answer.content) == (404, b"")


def test_names_that_no_resource_can_have(door: Door) -> None:
    for name in ("%00", "a%00b", "%FF", "'", "%25s", "a" * 5000):
        answer = door.client.get(f"/instances/{name}")
        assert (answer.status_code, answer.content) == (404, b"")


def test_lists_are_ascending_and_paged(door: Door) -> None:
    ids = sorted(door.post(make_file()).json()["ID"] for _ in range(5))
    assert door.client.get("/instances").json() == ids
    assert door.client.get("/instances/").json() == ids
    assert door.client.get("/instances", params={"since": 1, "limit": 2}).json() == ids[1:3]
    assert door.client.get("/instances", params={"since": 2, "limit": 0}).json() == ids[2:]
    assert door.client.get("/instances", params={"since": 9, "limit": 9}).json() == []
    expanded = door.client.get("/instances?expand&since=3&limit=5").json()
    assert [instance["ID"] for instance in expanded] == ids[3:]
    assert door.client.get("/instances?expand=false").json() == ids
    assert door.client.get("/instances?expand=0").json() == ids


def test_a_list_is_one_json_text_however_many_pages_it_has(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cluster.index.resources.IDS_PER_PAGE", 2)
    monkeypatch.setattr("cluster.index.resources.RESOURCES_PER_PAGE", 2)
    for count in range(5):
        for query in ("", "?expand"):
            answer = door.client.get(f"/instances{query}")
            assert len(answer.json()) == count
            if count:
                assert answer.text == json.dumps(answer.json(), indent=3, separators=(",", " : ")) + "\n"
        door.post(make_file())


def test_bad_windows(door: Door) -> None:
    for query in ("since=1", "limit=1", "since=a&limit=1", "since=1&limit=b", "since=-1&limit=1"):
        answer = door.client.get(f"/instances?{query}")
        assert answer.status_code == 400
        assert answer.headers["content-type"].startswith("text/plain")
        body = answer.json()
        assert body["HttpError"] == "Bad Request"
        assert body["Uri"] == "/instances"
        assert body["OrthancStatus"] in (3, 8)
        assert body["Message"] == body["OrthancError"]


def test_expanded_patient(door: Door, stored: dict[str, Any]) -> None:
    answer = door.client.get(f"/patients/{stored['ParentPatient']}")
    assert r"M\u00fcller^J\u00f6rg" in answer.text
    patient = answer.json()
    assert patient.pop("LastUpdate")
    assert patient == {
        "ID": stored["ParentPatient"],
        "IsProtected": False,
        "IsStable": False,
        "Labels": [],
        "MainDicomTags": {"PatientID": "P1", "PatientName": "Müller^Jörg"},
        "Studies": [stored["ParentStudy"]],
        "Type": "Patient",
    }


def test_expanded_study(door: Door, stored: dict[str, Any]) -> None:
    study = door.client.get(f"/studies/{stored['ParentStudy']}").json()
    assert study.pop("LastUpdate")
    assert study == {
        "ID": stored["ParentStudy"],
        "IsStable": False,
        "Labels": [],
        "MainDicomTags": {
            "AccessionNumber": "A1",
            "StudyDate": "20260131",
            "StudyDescription": "Head",
            "StudyInstanceUID": "2.25.1",
        },
        "ParentPatient": stored["ParentPatient"],
        "PatientMainDicomTags": {"PatientID": "P1", "PatientName": "Müller^Jörg"},
        "Series": [stored["ParentSeries"]],
        "Type": "Study",
    }


def test_expanded_series(door: Door, stored: dict[str, Any]) -> None:
    series = door.client.get(f"/series/{stored['ParentSeries']}").json()
    assert series.pop("LastUpdate")
    assert series == {
        "ExpectedNumberOfInstances": None,
        "ID": stored["ParentSeries"],
        "Instances": [stored["ID"]],
        "IsStable": False,
        "Labels": [],
        "MainDicomTags": {"Modality": "MR", "SeriesInstanceUID": "2.25.1.1", "SeriesNumber": "1"},
        "ParentStudy": stored["ParentStudy"],
        "Status": "Unknown",
        "Type": "Series",
    }


def test_expanded_instance(door: Door, stored: dict[str, Any]) -> None:
    instance = door.client.get(stored["Path"]).json()
    (file,) = door.files()
    assert instance["MainDicomTags"].pop("SOPInstanceUID").startswith("2.25.")
    assert instance == {
        "FileSize": file.stat().st_size,
        "FileUuid": file.name,
        "ID": stored["ID"],
        "IndexInSeries": 7,
        "Labels": [],
        "MainDicomTags": {"InstanceNumber": "7"},
        "ParentSeries": stored["ParentSeries"],
        "Type": "Instance",
    }


def test_formats_of_tags(door: Door, stored: dict[str, Any]) -> None:
    study = door.client.get(f"/studies/{stored['ParentStudy']}?short").json()
    assert study["MainDicomTags"]["0020,000d"] == "2.25.1"
    assert study["PatientMainDicomTags"]["0010,0020"] == "P1"
    (study,) = door.client.get("/studies?expand&full").json()
    assert study["MainDicomTags"]["0020,000d"] == {"Name": "StudyInstanceUID", "Type": "String", "Value": "2.25.1"}


def test_what_is_not_served_is_not_ignored(door: Door, stored: dict[str, Any]) -> None:
    answer = door.client.get(f"{stored['Path']}/file?transcode=1.2.840.10008.1.2.4.90")
    assert (answer.status_code, answer.json()["OrthancStatus"]) == (501, 2)


def test_file(door: Door, stored: dict[str, Any]) -> None:
    answer = door.client.get(f"{stored['Path']}/file")
    (path,) = door.files()
    assert answer.content == path.read_bytes()
    assert answer.headers["content-type"] == "application/dicom"
    assert answer.headers["content-length"] == str(path.stat().st_size)
    assert answer.headers["content-disposition"] == f'filename="{stored["ID"]}.dcm"'


def test_range(door: Door, stored: dict[str, Any]) -> None:
    whole = door.files()[0].read_bytes()
    for header, start, stop in (
        ("bytes=0-0", 0, 1),
        ("bytes=10-19", 10, 20),
        ("bytes=128-", 128, len(whole)),
        ("bytes=-5", len(whole) - 5, len(whole)),
        ("bytes=10-999999", 10, len(whole)),
        ("bytes=-999999", 0, len(whole)),
    ):
        answer = door.client.get(f"{stored['Path']}/file", headers={"Range": header})
        assert (answer.status_code, answer.content) == (206, whole[start:stop])
        assert answer.headers["content-range"] == f"bytes {start}-{stop - 1}/{len(whole)}"


def test_range_outside(door: Door, stored: dict[str, Any]) -> None:
    for header in ("bytes=999999-", "bytes=5-4", "bytes=-0"):
        answer = door.client.get(f"{stored['Path']}/file", headers={"Range": header})
        assert (answer.status_code, answer.json()["OrthancStatus"]) == (416, 41)


def test_ranges_that_are_ignored(door: Door, stored: dict[str, Any]) -> None:
    for header in ("bytes=0-1,4-5", "lines=0-1", "bytes=-", "bytes=a-b"):
        answer = door.client.get(f"{stored['Path']}/file", headers={"Range": header})
        assert (answer.status_code, answer.content) == (200, door.files()[0].read_bytes())


def test_file_of_nobody(door: Door, stored: dict[str, Any]) -> None:
    for name in ("nobody", stored["ParentSeries"], "%25s", "'", "%FF", "a" * 5000):
        uri = f"/instances/{name}/file"
        answer = door.client.get(uri)
        assert (answer.status_code, answer.json()["OrthancStatus"]) == (404, 17)


def test_file_that_is_gone(door: Door, stored: dict[str, Any]) -> None:
    door.files()[0].unlink()
    answer = door.client.get(f"{stored['Path']}/file")
    assert (answer.status_code, answer.json()["OrthancStatus"]) == (404, 17)


def test_file_that_is_too_short_is_not_taken_for_whole(door: Door, stored: dict[str, Any]) -> None:
    (path,) = door.files()
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(httpx.RemoteProtocolError):
        door.client.get(f"{stored['Path']}/file")


def test_a_client_that_goes_away_leaves_no_file_open(door: Door, stored: dict[str, Any], index_uri: str) -> None:
    (path,) = door.files()
    size = 64 << 20  # more than the kernel's buffers between the two hold
    with path.open("ab") as file:
        file.truncate(size)
    with connect(index_uri) as connection:
        connection.execute("UPDATE AttachedFiles SET compressedSize = %s, uncompressedSize = %s", (size, size))

    def is_open() -> bool:
        return any(link.is_symlink() and link.resolve() == path for link in Path("/proc/self/fd").iterdir())

    with door.client.stream("GET", f"{stored['Path']}/file") as download:
        pieces = download.iter_bytes(1000)  # to be kept: the connection ends with it
        next(pieces)
        assert is_open()
    eventually(lambda: not is_open())


@pytest.mark.parametrize("size", [3, 300_000, 1_500_000])
def test_file_that_an_orthanc_stored_compressed(door: Door, stored: dict[str, Any], index_uri: str, size: int) -> None:
    content = (bytes(range(256)) * (size // 256 + 1))[:size]
    (path,) = door.files()
    path.write_bytes(struct.pack("<Q", size) + zlib.compress(content, 6))
    with connect(index_uri) as connection:
        connection.execute(
            "UPDATE AttachedFiles SET compressionType = 2, compressedSize = %s, uncompressedSize = %s",
            (path.stat().st_size, size),
        )
    answer = door.client.get(f"{stored['Path']}/file", headers={"Range": "bytes=0-1"})
    assert (answer.status_code, answer.content) == (200, content)
