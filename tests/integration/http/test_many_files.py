"""POST /instances with many files at once: ZIP archives and forms, against interop/rest.md 3."""

import io
import struct
import zipfile
from collections.abc import Mapping
from typing import Any

import pytest

from cluster.errors import StorageFull
from cluster.ingest.intake import Intake
from tests.integration.http.conftest import Door
from tests.support.dicom import make_file
from tests.support.indices import connect
from tests.support.invariants import assert_exact, rows_and_files
from workers.http import multipart, zip_upload


def zipped(files: Mapping[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    text = io.BytesIO()
    with zipfile.ZipFile(text, "w", method) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return text.getvalue()


def dicom_files(number: int) -> dict[str, bytes]:
    return {f"folder/IM{count}": make_file(SOPInstanceUID=f"2.25.7.{count}") for count in range(number)}


def statuses(answer: Any) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [item["Status"] for item in answer.json()]


def assert_nothing_left(door: Door, instances: int) -> None:
    with connect(door.index_uri) as connection:
        rows, files = rows_and_files(connection, door.storage_directory)
        assert rows == files
        assert len(rows) == instances
        assert_exact(connection)


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_an_archive_is_stored_file_by_file(door: Door, method: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zip_upload, "FILES_AT_A_TIME", 4)
    files = dicom_files(10)
    others = {"README.txt": b"no DICOM", "empty": b"", "folder/": b""}
    answer = door.post(zipped(files | others, method))
    assert statuses(answer) == ["Success"] * 10
    for item, content in zip(answer.json(), files.values(), strict=True):
        assert sorted(item) == ["ID", "ParentPatient", "ParentSeries", "ParentStudy", "Path", "Status"]
        assert door.client.get(f"{item['Path']}/file").content == content
    assert statuses(door.post(zipped(files, method))) == ["AlreadyStored"] * 10
    assert_nothing_left(door, 10)


def test_what_is_left_out_is_told_to_who_asks(door: Door) -> None:
    content = zipped(dicom_files(1) | {"notes.txt": b"no DICOM", "more.zip": zipped(dicom_files(2))})
    answer = door.client.post("/instances?refused", content=content)
    assert statuses(answer) == ["Success", "Failure", "Failure"]
    assert {item["Filename"] for item in answer.json()[1:]} == {"notes.txt", "more.zip"}
    assert all(item["Details"] for item in answer.json()[1:])
    assert_nothing_left(door, 1)


def test_one_instance_twice_in_an_archive(door: Door) -> None:
    file = make_file()
    assert sorted(statuses(door.post(zipped({"a": file, "b": file})))) == ["AlreadyStored", "Success"]
    assert_nothing_left(door, 1)


def test_archives_in_other_wrappings(door: Door) -> None:
    import gzip

    assert statuses(door.post(gzip.compress(zipped(dicom_files(2))), content_encoding="gzip")) == ["Success"] * 2
    assert statuses(door.post(zipped({}))) == []
    large = io.BytesIO()
    with zipfile.ZipFile(large, "w") as archive, archive.open("IM0", "w", force_zip64=True) as member:
        member.write(make_file())
    assert statuses(door.post(large.getvalue())) == ["Success"]
    study = door.client.get("/studies").json()[0]
    # What an archive of ours gives comes back as it was.
    again = door.post(door.client.get(f"/studies/{study}/archive").content)
    assert statuses(again) == ["AlreadyStored"] * 3


def damaged(name: str) -> bytes:
    whole = zipped(dicom_files(3), zipfile.ZIP_STORED)
    if name == "cut":
        return whole[: len(whole) // 2]
    if name == "no directory":
        return whole[: whole.rfind(b"PK\x05\x06")]
    if name == "only a beginning":
        return b"PK\x03\x04"
    if name == "noise":
        return b"PK\x03\x04" + bytes(range(256)) * 100
    at = whole.rfind(b"PK\x05\x06")
    return whole[: at + 12] + struct.pack("<L", 500) + whole[at + 16 :]  # a directory that is shorter than it is


@pytest.mark.parametrize("name", ["cut", "no directory", "only a beginning", "noise", "wrong size"])
def test_damaged_archives(door: Door, name: str) -> None:
    answer = door.post(damaged(name))
    assert answer.status_code == 400, answer.text
    assert answer.json()["OrthancStatus"] == 15
    assert_nothing_left(door, 0)


def test_a_damaged_member_is_left_out(door: Door) -> None:
    content = bytearray(zipped(dicom_files(3), zipfile.ZIP_STORED))
    content[400] ^= 0xFF  # in the first file: its checksum does not fit
    assert statuses(door.post(bytes(content))) == ["Success"] * 2
    assert_nothing_left(door, 2)


def test_bombs(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cluster.bulk.archive.UNSUSPECTED_BYTES", 1 << 20)
    bomb = zipped({"bomb": bytes(8 << 20), "IM": make_file()})
    assert statuses(door.client.post("/instances?refused", content=bomb)) == ["Success", "Failure"]
    # Members that share their bytes: more than deflate can explain.
    monkeypatch.setattr("cluster.bulk.archive.LARGEST_TOTAL_RATIO", 10)
    assert door.post(bomb).status_code == 413
    monkeypatch.setattr(zip_upload, "MAXIMUM_DIRECTORY_BYTES", 100)
    assert door.post(zipped(dicom_files(3))).status_code == 413
    monkeypatch.setattr(zip_upload, "MAXIMUM_ARCHIVE_BYTES", 100)
    assert door.post(zipped(dicom_files(3))).status_code == 413
    assert_nothing_left(door, 1)


def test_a_directory_that_only_zip64_calls_large(door: Door) -> None:
    whole = zipped(dicom_files(1))
    at = whole.rfind(b"PK\x05\x06")
    record = struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, 1, 1, 1 << 40, 0)
    locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, at, 1)
    assert door.post(whole[:at] + record + locator + whole[at:]).status_code == 413


def test_what_was_stored_before_an_error_stays(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zip_upload, "FILES_AT_A_TIME", 4)
    receive, received = Intake.receive, iter(range(6))

    def full(self: Intake, *arguments: Any, **options: Any) -> Any:
        if next(received, None) is None:
            raise StorageFull("planted: the disk is full")
        return receive(self, *arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(Intake, "receive", full)
        answer = door.post(zipped(dicom_files(10)))
    assert answer.status_code == 507
    assert "6 files of the archive were stored" in answer.json()["Details"]
    assert_nothing_left(door, 6)
    assert sorted(statuses(door.post(zipped(dicom_files(10))))) == ["AlreadyStored"] * 6 + ["Success"] * 4


def test_too_many_archives_at_once(door: Door) -> None:
    taken = [zip_upload._spools.acquire(blocking=False) for _ in range(4)]
    try:
        assert all(taken)
        assert door.post(zipped(dicom_files(1))).status_code == 503
    finally:
        for _ in taken:
            zip_upload._spools.release()
    assert door.post(zipped(dicom_files(1))).status_code == 200


def test_a_form(door: Door) -> None:
    contents = list(dicom_files(3).values())
    fields = [("file", (f"IM{number}", content)) for number, content in enumerate(contents)]
    extra: list[tuple[str, Any]] = [("file", ("all.zip", zipped(dicom_files(5)))), ("comment", (None, b"hello"))]
    answer = door.client.post("/instances?refused", files=[*fields, *extra])
    assert statuses(answer) == ["Success"] * 3 + ["AlreadyStored"] * 3 + ["Success"] * 2 + ["Failure"]
    for item, content in zip(answer.json(), contents, strict=False):
        assert door.client.get(f"{item['Path']}/file").content == content
    assert_nothing_left(door, 5)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 1000])
def test_a_form_in_pieces_of_any_size(door: Door, monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    # Content that looks like the boundary, nearly.
    content = make_file(PixelData=b"\r\n--limit\r\r\n--limi\r\n-" * 6 + b"\r\n")
    body = (
        b"preamble\r\n--limits\r\nContent-Disposition: form-data; name=f; filename=a\r\n\r\n"
        + content.replace(b"--limits", b"--limitz")
        + b"\r\n--limits\r\n\r\n\r\n--limits--\r\nepilogue"
    )
    pieces = (body[start : start + size] for start in range(0, len(body), size))
    [(name, first), (_, second)] = [
        (name, b"".join(parts)) for name, parts in multipart.parts_of(iter(pieces), b"limits")
    ]
    assert (name, first, second) == ("a", content, b"")
    answer = door.post(body, content_type="multipart/form-data; boundary=limits")
    assert statuses(answer) == ["Success"]


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("multipart/form-data", b"--a\r\n\r\nx\r\n--a--"),
        ("multipart/form-data; boundary=", b"--a\r\n\r\nx\r\n--a--"),
        ("multipart/form-data; boundary=a", b""),
        ("multipart/form-data; boundary=a", b"no part at all"),
        ("multipart/form-data; boundary=a", b"--a\r\nContent-Disposition: form-data\r\n"),
        ("multipart/form-data; boundary=a", b"--a\r\n\r\nnever ended"),
        ("multipart/form-data; boundary=a", b"--a\r\n" + b"X: y\r\n" * 5000 + b"\r\nx\r\n--a--"),
    ],
)
def test_bad_forms(door: Door, content_type: str, body: bytes) -> None:
    answer = door.post(body, content_type=content_type)
    assert answer.status_code == 400, answer.text
    assert answer.json()["Details"]
    assert_nothing_left(door, 0)
