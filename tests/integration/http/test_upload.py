"""POST /instances, against interop/rest.md 3 and interop/ingest.md 7."""

import gzip
import json
import os
import socket
import struct
from collections.abc import Iterator
from http.client import HTTPResponse

import httpx
import pytest
from prometheus_client import REGISTRY

from tests.integration.http.conftest import Door, OpenDoor, eventually
from tests.support.dicom import make_file
from tests.support.indices import connect

MEGABYTE = 1 << 20


def memory_peak_bytes() -> int:
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM:"))


def forget_memory_peak() -> None:
    # https://www.kernel.org/doc/html/latest/filesystems/proc.html, clear_refs
    with open("/proc/self/clear_refs", "w") as clear_refs:
        clear_refs.write("5")


def large_file(size: int) -> Iterator[bytes]:
    """A DICOM file whose pixel data have `size` bytes."""
    small = make_file(PixelData=b"\0\0")
    yield small[: -len(b"\0\0") - 4] + struct.pack("<I", size)
    zeros = bytes(MEGABYTE)
    for _ in range(size // MEGABYTE):
        yield zeros


def assert_refused(answer: httpx.Response, status: int, orthanc_status: int, details: str) -> None:
    assert answer.status_code == status
    assert answer.headers["content-type"].startswith("text/plain")
    body = answer.json()
    assert (body["HttpStatus"], body["OrthancStatus"]) == (status, orthanc_status)
    assert (body["Method"], body["Uri"]) == ("POST", "/instances")
    assert details in body["Details"]


def test_the_answer_is_a_phase(door: Door) -> None:
    def answers() -> tuple[float, float]:
        phase, name = {"phase": "answer"}, "orthanc_cluster_phase_seconds"
        count = REGISTRY.get_sample_value(f"{name}_count", phase) or 0
        return count, REGISTRY.get_sample_value(f"{name}_sum", phase) or 0

    before = answers()
    assert door.post(make_file()).status_code == 200
    eventually(lambda: answers()[0] == before[0] + 1)
    assert 0 < answers()[1] - before[1] < 1
    assert door.post(b"no DICOM").status_code == 400
    assert door.post(make_file()).status_code == 200
    eventually(lambda: answers()[0] == before[0] + 2)


def test_answer_is_orthancs(door: Door) -> None:
    answer = door.post(make_file())
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json; charset=utf-8"
    body = answer.json()
    assert list(body) == ["ID", "ParentPatient", "ParentSeries", "ParentStudy", "Path", "Status"]
    assert body["Path"] == f"/instances/{body['ID']}"
    assert body["Status"] == "Success"
    assert answer.text.startswith('{\n   "ID" : "')
    assert answer.text == json.dumps(body, indent=3, separators=(",", " : ")) + "\n"


def test_stored_is_what_was_posted_and_a_second_time_is_already_stored(door: Door) -> None:
    file = make_file()
    first = door.post(file).json()
    second = door.post(file).json()
    assert second == first | {"Status": "AlreadyStored"}
    assert [path.read_bytes() for path in door.files()] == [file]
    assert door.client.get(first["Path"] + "/file").content == file


def test_origin_of_an_upload(door: Door, index_uri: str) -> None:
    door.post(make_file(), X_Forwarded_For="8.8.8.8")
    with connect(index_uri) as connection:
        rows = dict(
            connection.execute(
                "SELECT m.type, m.value FROM Metadata m JOIN Resources r ON r.internalId = m.id"
                " WHERE r.resourceType = 3 AND m.type IN (3, 8, 11, 12, 13)"
            ).fetchall()
        )
    assert rows == {3: "", 8: "RestApi", 11: "127.0.0.1", 13: ""}


def test_what_cannot_be_stored(door: Door) -> None:
    for content, status, orthanc_status, details in (
        (b"", 400, 15, "empty"),
        (b"this is a text\n", 400, 15, ""),
        (make_file()[:300], 400, 15, ""),
        (make_file(PatientComments="x" * 300)[:-1], 400, 15, ""),
        (make_file(StudyInstanceUID=None), 400, 15, "StudyInstanceUID"),
        (make_file(SeriesInstanceUID=""), 400, 15, "SeriesInstanceUID"),
    ):
        assert_refused(door.post(content), status, orthanc_status, details)
    with pytest.warns(UserWarning, match="exceeds the maximum length"):
        content = make_file(PatientID="x" * 300)
    assert_refused(door.post(content), 400, 5, "PatientID")
    assert door.files() == []
    assert door.client.get("/instances").json() == []


def test_an_encoding_that_is_not_known(door: Door) -> None:
    assert_refused(door.post(make_file(), Content_Encoding="br"), 415, 8, "gzip")


def test_a_preamble_may_look_like_a_zip_archive(door: Door) -> None:
    file = b"PK\x03\x04" + make_file()[4:]
    assert door.post(file).json()["Status"] == "Success"


def test_gzip_is_undone(door: Door) -> None:
    file = make_file(PixelData=os.urandom(128))
    answer = door.post(gzip.compress(file), Content_Encoding="gzip")
    assert answer.json()["Status"] == "Success"
    assert [path.read_bytes() for path in door.files()] == [file]


def test_gzip_of_several_members_and_in_small_chunks(door: Door) -> None:
    file = b"".join(large_file(2 * MEGABYTE))
    packed = gzip.compress(file[:1000]) + gzip.compress(file[1000:])
    pieces = (packed[start : start + 7] for start in range(0, len(packed), 7))
    assert door.post(pieces, Content_Encoding="gzip").json()["Status"] == "Success"
    assert [path.read_bytes() for path in door.files()] == [file]


def test_bad_gzip(door: Door) -> None:
    good = gzip.compress(make_file())
    for content in (b"no gzip", good[:-9], good[:-1], good + b"xx"):
        assert_refused(door.post(content, Content_Encoding="gzip"), 400, 15, "gzip")
    assert door.files() == []


def test_a_gzip_bomb_is_cut_short(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workers.http.body.GUNZIPPED_FREE_BYTES", 4 * MEGABYTE)
    bomb = gzip.compress(b"".join(large_file(16 * MEGABYTE)))
    assert len(bomb) < 20_000
    assert_refused(door.post(bomb, Content_Encoding="gzip"), 413, 8, "inflates")
    assert door.files() == []


def test_a_large_body_never_is_in_memory(open_door: OpenDoor) -> None:
    door = open_door(SyncStorageArea=False)
    size = 192 * MEGABYTE
    door.post(make_file())  # everything is imported and warm
    forget_memory_peak()
    before = memory_peak_bytes()
    answer = door.post(large_file(size))
    assert answer.json()["Status"] == "Success"
    with door.client.stream("GET", answer.json()["Path"] + "/file") as download:
        received = sum(len(piece) for piece in download.iter_bytes(MEGABYTE))
    assert received == max(path.stat().st_size for path in door.files())
    assert received > size
    assert memory_peak_bytes() - before < 48 * MEGABYTE


def test_a_sender_that_goes_away_leaves_nothing_behind(door: Door) -> None:
    with socket.create_connection(("127.0.0.1", door.server.port)) as sender:
        sender.sendall(b"POST /instances HTTP/1.1\r\nHost: x\r\nContent-Length: 9000000\r\n\r\n")
        sender.sendall(b"".join(large_file(4 * MEGABYTE)))
        # The reception has begun once its bytes are in the storage area.
        eventually(door.files)
    assert door.intake.drain(10)
    assert door.files() == []
    assert door.client.get("/instances").json() == []


def test_a_silent_sender_is_given_up(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workers.http.body.PROGRESS_SECONDS", 0.2)
    with socket.create_connection(("127.0.0.1", door.server.port)) as sender:
        sender.settimeout(20)
        sender.sendall(b"POST /instances HTTP/1.1\r\nHost: x\r\nContent-Length: 9000000\r\n\r\n")
        sender.sendall(b"".join(large_file(2 * MEGABYTE)))
        assert sender.recv(1000).startswith(b"HTTP/1.1 408 ")
    assert door.intake.drain(10)
    assert door.files() == []


def test_not_ready_is_told_before_the_body_is_sent(door: Door) -> None:
    door.reason = "another node upgrades the schema"
    with socket.create_connection(("127.0.0.1", door.server.port)) as sender:
        sender.settimeout(20)
        sender.sendall(
            b"POST /instances HTTP/1.1\r\nHost: x\r\nContent-Length: 9000000\r\nExpect: 100-continue\r\n\r\n"
        )
        answer = HTTPResponse(sender)
        answer.begin()
        body = json.load(answer)
    assert answer.status == 503
    assert answer.headers["Retry-After"]
    assert "another node upgrades the schema" in body["Details"]


def test_expect_100_continue(door: Door) -> None:
    file = make_file()
    with socket.create_connection(("127.0.0.1", door.server.port)) as sender:
        sender.settimeout(20)
        sender.sendall(
            b"POST /instances HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\nExpect: 100-continue\r\n\r\n" % len(file)
        )
        assert sender.recv(4096).startswith(b"HTTP/1.1 100 ")
        sender.sendall(file)
        assert sender.recv(4096).startswith(b"HTTP/1.1 200 ")


def test_more_uploads_than_a_node_can_take(open_door: OpenDoor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workers.http.services.UPLOAD_THREADS", 1)
    monkeypatch.setattr("workers.http.services.UPLOADS_WAITING", 0)
    door = open_door()
    with socket.create_connection(("127.0.0.1", door.server.port)) as sender:
        sender.sendall(b"POST /instances HTTP/1.1\r\nHost: x\r\nContent-Length: 9000000\r\n\r\n")
        sender.sendall(b"".join(large_file(2 * MEGABYTE)))
        eventually(door.files)
        assert_refused(door.post(make_file()), 503, 36, "as many requests")
        assert door.client.get("/statistics").status_code == 200
    assert door.intake.drain(10)


def test_a_node_that_drains_takes_nothing(door: Door) -> None:
    door.intake.drain(0)
    assert_refused(door.post(make_file()), 503, 36, "draining")
