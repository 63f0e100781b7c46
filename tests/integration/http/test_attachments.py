"""Attachments with revisions and forms, against interop/rest.md 5, interop/revisions.md and interop/ingest.md 12."""

import hashlib
import random
import zlib
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from cluster.ingest.removal import remove_files
from tests.integration.http.conftest import Door, OpenDoor
from tests.support.dicom import make_file
from tests.support.indices import connect
from tests.support.invariants import assert_exact, rows_and_files

LARGE = random.Random(7).randbytes(1_500_000) + bytes(1_500_000)
FILE = make_file()


def md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


@pytest.fixture
def stored(door: Door) -> dict[str, Any]:
    answer: dict[str, Any] = door.post(FILE).json()
    return answer


@pytest.fixture
def exact(door: Door, index_uri: str) -> Iterator[psycopg.Connection]:
    """Afterwards rows and files are the same, and all totals exact."""
    with connect(index_uri) as connection:
        yield connection
        remove_files(door.intake.database, door.intake.storage)
        rows, files = rows_and_files(connection, door.storage_directory)
        assert rows == files
        assert_exact(connection)


def test_the_dicom_file(door: Door, stored: dict[str, Any], exact: psycopg.Connection) -> None:
    path = f"{stored['Path']}/attachments"
    assert door.client.get(path).json() == ["dicom"]
    assert door.client.get(f"{path}?full").json() == {"dicom": 1}
    assert "compressed-data" in door.client.get(f"{path}/dicom").json()
    answer = door.client.get(f"{path}/dicom/data")
    assert (answer.content, answer.headers["etag"]) == (FILE, f'"0-{md5(FILE)}"')
    assert answer.headers["content-type"] == "application/dicom"
    assert door.client.get(f"{path}/1/compressed-data").content == FILE
    for name, text in (
        ("md5", md5(FILE)),
        ("compressed-md5", md5(FILE)),
        ("size", str(len(FILE))),
        ("compressed-size", str(len(FILE))),
        ("is-compressed", "0"),
    ):
        answer = door.client.get(f"{path}/dicom/{name}")
        assert (answer.text, answer.headers["etag"]) == (text, f'"0-{md5(FILE)}"')
    info = door.client.get(f"{path}/dicom/info").json()
    assert info.pop("Uuid") == door.client.get(stored["Path"]).json()["FileUuid"]
    assert info == {
        "CompressedMD5": md5(FILE),
        "CompressedSize": len(FILE),
        "ContentType": 1,
        "UncompressedMD5": md5(FILE),
        "UncompressedSize": len(FILE),
    }
    assert door.client.post(f"{path}/dicom/verify-md5").json() == {}
    for method in ("PUT", "DELETE"):
        answer = door.client.request(method, f"{path}/dicom", content=b"x" if method == "PUT" else None)
        assert (answer.status_code, answer.content) == (403, b"")
    assert door.client.delete(f"{path}/dicom-as-json").status_code == 404


@pytest.mark.parametrize("content", [b"", b"text", LARGE])
def test_revisions(door: Door, stored: dict[str, Any], exact: psycopg.Connection, content: bytes) -> None:
    path = f"/studies/{stored['ParentStudy']}/attachments/1024"
    for revision in range(3):
        answer = door.client.put(path, content=content)
        assert (answer.status_code, answer.json()) == (200, {})
        assert answer.headers["etag"] == f'"{revision}-{md5(content)}"'
    answer = door.client.get(f"{path}/data")
    assert (answer.content, answer.headers["etag"]) == (content, f'"2-{md5(content)}"')
    assert answer.headers["content-type"] == "application/octet-stream"
    assert door.client.delete(path).content == b""
    assert door.client.get(f"{path}/data").status_code == 404
    assert door.client.put(path, content=content).headers["etag"].startswith('"0-')
    changes = door.client.get("/changes?type=UpdatedAttachment").json()["Changes"]
    assert [change["ID"] for change in changes] == [stored["ParentStudy"]] * 5


def test_conditions(door: Door, stored: dict[str, Any], exact: psycopg.Connection) -> None:
    path = f"{stored['Path']}/attachments/1024"
    first = door.client.put(path, content=b"a").headers["etag"]
    for wrong in (f'"1-{md5(b"a")}"', f'"0-{md5(b"b")}"'):
        for method in ("PUT", "DELETE"):
            answer = door.client.request(method, path, headers={"If-Match": wrong})
            assert (answer.status_code, answer.json()["OrthancStatus"]) == (409, 43)
    assert door.client.put(path, content=b"b", headers={"If-Match": "nonsense"}).status_code == 400
    assert door.client.put(path, content=b"b", headers={"If-Match": first}).status_code == 200
    answer = door.client.get(f"{path}/data", headers={"If-None-Match": f'"1-{md5(b"b")}"'})
    assert (answer.status_code, answer.content) == (304, b"")
    assert door.client.get(f"{path}/md5", headers={"If-None-Match": f'"1-{md5(b"b")}"'}).status_code == 304


def test_with_check_revisions(open_door: OpenDoor) -> None:
    door = open_door(CheckRevisions=True)
    path = f"{door.post(FILE).json()['Path']}/attachments/1024"
    etag = door.client.put(path, content=b"a").headers["etag"]
    assert door.client.put(path, content=b"b").status_code == 409
    assert door.client.delete(path).status_code == 409
    assert door.client.put(path, content=b"b", headers={"If-Match": etag}).status_code == 200


@pytest.mark.parametrize("content", [b"", b"text", LARGE])
def test_forms(door: Door, stored: dict[str, Any], exact: psycopg.Connection, content: bytes) -> None:
    path = f"{stored['Path']}/attachments/1024"
    door.client.put(path, content=content)
    for _ in range(2):  # the second time there is nothing to do
        assert door.client.post(f"{path}/compress").json() == {}
        assert door.client.get(f"{path}/is-compressed").text == "1"
        raw = door.client.get(f"{path}/compressed-data")
        assert raw.headers["etag"] == f'"1-{md5(content)}"'
    if content:
        assert int.from_bytes(raw.content[:8], "little") == len(content)
        assert zlib.decompress(raw.content[8:]) == content
    assert door.client.get(f"{path}/data").content == content
    assert door.client.get(f"{path}/size").text == str(len(content))
    assert door.client.get(f"{path}/compressed-size").text == str(len(raw.content))
    assert door.client.get(f"{path}/compressed-md5").text == md5(raw.content)
    assert door.client.post(f"{path}/verify-md5").status_code == 200
    assert door.client.post(f"{path}/uncompress").json() == {}
    answer = door.client.get(f"{path}/compressed-data")
    assert (answer.content, answer.headers["etag"]) == (content, f'"2-{md5(content)}"')
    assert len(door.client.get("/changes?type=UpdatedAttachment").json()["Changes"]) == 1


def test_a_compressed_dicom_file_is_served_as_before(door: Door, stored: dict[str, Any]) -> None:
    assert door.client.post(f"{stored['Path']}/attachments/dicom/compress").status_code == 200
    assert door.client.get(f"{stored['Path']}/file").content == FILE
    assert door.client.get(stored["Path"]).json()["FileSize"] == len(FILE)


@pytest.mark.parametrize("compressed", [False, True])
def test_ranges(door: Door, stored: dict[str, Any], compressed: bool) -> None:
    path = f"{stored['Path']}/attachments/1024"
    door.client.put(path, content=LARGE)
    if compressed:
        door.client.post(f"{path}/compress")
    for header, start, stop in (
        ("bytes=0-0", 0, 1),
        ("bytes=1000000-2000000", 1_000_000, 2_000_001),
        ("bytes=2999990-", 2_999_990, 3_000_000),
        ("bytes=-5", 2_999_995, 3_000_000),
        ("bytes=2999990-9999999", 2_999_990, 3_000_000),
    ):
        answer = door.client.get(f"{path}/data", headers={"Range": header})
        assert answer.status_code == 206
        assert answer.content == LARGE[start:stop]
        assert answer.headers["content-range"] == f"bytes {start}-{stop - 1}/3000000"
    for header in ("bytes=3000000-", "bytes=5-4"):
        answer = door.client.get(f"{path}/data", headers={"Range": header})
        assert (answer.status_code, answer.json()["OrthancStatus"]) == (416, 41)
    assert door.client.get(f"{path}/data", headers={"Range": "lines=1-2"}).content == LARGE


def test_file_names(door: Door, stored: dict[str, Any]) -> None:
    path = f"{stored['Path']}/attachments/dicom/data"
    answer = door.client.get(path, params={"filename": "my file.dcm"})
    assert answer.headers["content-disposition"] == 'attachment; filename="my file.dcm"'
    for name in ('a"b', "a\r\nX: y", "../x", "", "ü"):
        assert door.client.get(path, params={"filename": name}).status_code == 400


def test_names_of_users(open_door: OpenDoor) -> None:
    door = open_door(UserContentType={"report": [1042, "text/html"], "raw": 1043})
    path = f"{door.post(FILE).json()['Path']}/attachments"
    for name in ("report", "raw"):
        assert door.client.put(f"{path}/{name}", content=b"x").status_code == 200
    assert door.client.get(f"{path}?full").json() == {"dicom": 1, "raw": 1043, "report": 1042}
    assert door.client.get(f"{path}/1042/data").headers["content-type"].startswith("text/html")


def test_damage_is_found(door: Door, stored: dict[str, Any]) -> None:
    [file] = door.files()
    file.write_bytes(FILE[:-1] + b"\1")
    assert door.client.post(f"{stored['Path']}/attachments/dicom/verify-md5").status_code == 404
    file.unlink()
    assert door.client.post(f"{stored['Path']}/attachments/dicom/verify-md5").status_code == 404
    assert door.client.get(f"{stored['Path']}/attachments/dicom/data").status_code == 404


def test_without_hashes(open_door: OpenDoor) -> None:
    door = open_door(StoreMD5ForAttachments=False)
    path = f"{door.post(FILE).json()['Path']}/attachments"
    assert door.client.put(f"{path}/1024", content=b"x").headers["etag"] == '"0-"'
    for name in ("dicom", "1024"):
        assert door.client.get(f"{path}/{name}/md5").status_code == 404
        assert door.client.post(f"{path}/{name}/verify-md5").status_code == 404
        assert door.client.post(f"{path}/{name}/compress").status_code == 200
        assert door.client.get(f"{path}/{name}/compressed-md5").status_code == 404


def test_unknown_things(door: Door, stored: dict[str, Any], exact: psycopg.Connection) -> None:
    for path in ("/instances/unknown", f"/studies/{stored['ID']}"):
        assert door.client.get(f"{path}/attachments").status_code == 404
        for operation in ("", "/data", "/compressed-data", "/info", "/md5", "/size"):
            assert door.client.get(f"{path}/attachments/1024{operation}").status_code == 404
        for operation in ("compress", "uncompress", "verify-md5"):
            assert door.client.post(f"{path}/attachments/1024/{operation}").status_code == 404
        assert door.client.put(f"{path}/attachments/1024", content=LARGE).status_code == 404
        assert door.client.delete(f"{path}/attachments/1024").status_code == 404
    path = f"{stored['Path']}/attachments"
    for operation in ("", "/data", "/info", "/md5"):
        assert door.client.get(f"{path}/1024{operation}").status_code == 404
        assert door.client.get(f"{path}/NoSuchName{operation}").status_code == 404
    assert door.client.put(f"{path}/70000", content=b"x").status_code == 400
    assert door.client.post(f"{path}/dicom/data").status_code == 405
    assert door.client.get(f"{path}/dicom/compress").status_code == 405


def test_deleting_the_resource_takes_its_attachments_along(
    door: Door, stored: dict[str, Any], exact: psycopg.Connection
) -> None:
    for path in (stored["Path"], f"/series/{stored['ParentSeries']}", f"/patients/{stored['ParentPatient']}"):
        assert door.client.put(f"{path}/attachments/1024", content=b"x").status_code == 200
    assert len(door.files()) == 4
    assert door.client.delete(stored["Path"]).status_code == 200
    remove_files(door.intake.database, door.intake.storage)
    assert door.files() == []


@pytest.mark.parametrize("was_compressed", [True, False])
def test_both_forms_are_read_whatever_new_ones_get(open_door, was_compressed):
    # Given an instance, and an attachment, that came while StorageCompression was on, or off
    file = make_file(Rows=64, Columns=64, PixelData=bytes(8192))
    before = open_door(StorageCompression=was_compressed)
    instance = before.post(file).json()["ID"]
    assert before.client.put(f"/instances/{instance}/attachments/1024", content=b"text " * 1000).status_code == 200
    # When another node, with the opposite, is asked for them
    door = open_door(StorageCompression=not was_compressed)
    found = door.client.get(f"/instances/{instance}/attachments/1024/is-compressed").text
    # Then they are what they were
    assert found == str(int(was_compressed))
    assert door.client.get(f"/instances/{instance}/file").content == file
    assert door.client.get(f"/instances/{instance}/attachments/1024/data").content == b"text " * 1000
    assert door.client.get(f"/instances/{instance}/tags?simplify").json()["PatientName"] == "Doe^Jane"
    assert door.client.post(f"/instances/{instance}/attachments/1024/verify-md5").status_code == 200
    assert door.client.get("/system").json()["StorageCompression"] is not was_compressed
