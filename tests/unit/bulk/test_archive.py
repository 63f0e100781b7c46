"""ZIP archives: what is listed, what is refused, and that reading stays within bounds."""

import tracemalloc
import zipfile
from pathlib import Path

import pytest

from cluster.bulk import archive
from cluster.bulk.archive import list_archive, why_not_read
from cluster.bulk.entries import ImportFile, Refusal
from cluster.bulk.reading import PIECE_BYTES, Reader, UnreadableError


def make_archive(path: Path, *members: tuple[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as new:
        for name, content in members:
            new.writestr(name, content)
    return path


def read(file: ImportFile) -> bytes:
    with Reader("here") as reader:
        return b"".join(reader.pieces(file))


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_members_are_listed_and_read_even_when_two_have_one_name(tmp_path: Path) -> None:
    path = str(make_archive(tmp_path / "a.zip", ("d/", b""), ("d/one", b"1"), ("same", b"22"), ("same", b"333")))

    listed = [item for item in list_archive(path) if isinstance(item, tuple)]

    assert listed == [
        (ImportFile(path, "d/one", 1), 1),
        (ImportFile(path, "same", 2), 2),
        (ImportFile(path, "same", 3), 3),
    ]
    assert [read(file) for file, _ in listed] == [b"1", b"22", b"333"]


def test_an_archive_inside_an_archive_is_refused(tmp_path: Path) -> None:
    path = str(make_archive(tmp_path / "a.zip", ("inner.ZIP", b"PK")))

    (refusal,) = list_archive(path)

    assert isinstance(refusal, Refusal)
    assert (refusal.file.member, refusal.outcome) == ("inner.ZIP", "failed")
    assert "inside a ZIP archive" in refusal.reason


@pytest.mark.parametrize("content", [b"", b"no archive at all", b"PK\x03\x04 cut off"])
def test_a_damaged_archive_is_one_refusal(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.zip").write_bytes(content)

    (refusal,) = list_archive(str(tmp_path / "a.zip"))

    assert isinstance(refusal, Refusal)
    assert refusal.reason.startswith("not a readable ZIP archive")


def test_damage_within_a_member_is_found_while_reading(tmp_path: Path) -> None:
    path = make_archive(tmp_path / "a.zip", ("m", b"A" * 100), method=zipfile.ZIP_STORED)
    path.write_bytes(path.read_bytes().replace(b"AAAA", b"AABA", 1))

    with pytest.raises(UnreadableError, match="damaged in its ZIP archive: Bad CRC-32"):
        read(ImportFile(str(path), "m", 0))


def test_an_archive_that_changed_since_is_refused(tmp_path: Path) -> None:
    path = make_archive(tmp_path / "a.zip", ("new", b"1"))

    for file in (ImportFile(str(path), "old", 0), ImportFile(str(path), "new", 1)):
        with pytest.raises(UnreadableError, match="has changed"):
            read(file)


def test_missing_files_name_the_worker(tmp_path: Path) -> None:
    for file in (ImportFile(str(tmp_path / "x")), ImportFile(str(tmp_path / "x.zip"), "m", 0)):
        with pytest.raises(UnreadableError, match="not found on worker here"):
            read(file)


@pytest.mark.parametrize(("method", "name"), [(zipfile.ZIP_BZIP2, "bzip2"), (zipfile.ZIP_LZMA, "LZMA")])
def test_methods_that_inflate_in_one_go_are_refused(tmp_path: Path, method: int, name: str) -> None:
    path = str(make_archive(tmp_path / "a.zip", ("m", b"0" * 1000), method=method))

    (refusal,) = list_archive(path)

    assert isinstance(refusal, Refusal)
    assert refusal.reason == f"compression method {name} is not read"
    with pytest.raises(UnreadableError, match="is not read"):
        read(ImportFile(path, "m", 0))


def test_encrypted_members_are_refused() -> None:
    info = zipfile.ZipInfo("m")
    info.flag_bits = 0x1
    assert why_not_read(info) == "encrypted"


@pytest.mark.parametrize(
    ("size", "compressed", "expected"),
    [
        (archive.UNSUSPECTED_BYTES, 70_000, None),
        (archive.UNSUSPECTED_BYTES + 1, archive.UNSUSPECTED_BYTES // 100, None),
        (archive.UNSUSPECTED_BYTES + 1, 70_000, "compressed more than 200 to 1: looks like a ZIP bomb"),
        (archive.LARGEST_MEMBER_BYTES + 1, archive.LARGEST_MEMBER_BYTES, "larger than 8 GiB"),
    ],
)
def test_bombs_are_refused_by_size_and_ratio(size: int, compressed: int, expected: str | None) -> None:
    info = zipfile.ZipInfo("m")
    info.compress_type = zipfile.ZIP_DEFLATED
    info.file_size, info.compress_size = size, compressed
    assert why_not_read(info) == expected


def test_an_archive_that_announces_the_impossible_is_refused(tmp_path: Path) -> None:
    """The central directory names one member a thousand times: overlapping bombs are built like that."""
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new:
        new.writestr("m", bytes(60 << 20))
        info = new.infolist()[0]
        new.filelist += [info] * 1000

    (refusal,) = list_archive(str(path))

    assert isinstance(refusal, Refusal)
    assert refusal.reason == "ZIP archive announces more bytes than it can hold"


def test_a_large_member_is_read_in_pieces(tmp_path: Path) -> None:
    size = 40 << 20
    path = make_archive(tmp_path / "a.zip", ("m", bytes(size)))
    total = 0
    tracemalloc.start()
    with Reader("here") as reader:
        for piece in reader.pieces(ImportFile(str(path), "m", 0)):
            assert len(piece) <= PIECE_BYTES
            total += len(piece)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert total == size
    assert peak < 8 << 20
