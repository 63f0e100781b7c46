"""What the check says of the bytes of one attachment."""

import hashlib
import zlib
from pathlib import Path

import pytest

from cluster.dicom.part10 import file_meta_information
from cluster.index.check import AttachmentRow
from workers.load.delivery import Acknowledged
from workers.load.stored_file import data_set_offset, fault_of_file, path_of

DATA_SET = b"\x08\x00\x05\x00CS\x0a\x00ISO_IR 100"
HEADER = file_meta_information("1.2.840.10008.5.1.4.1.1.2", "2.25.1", "1.2.840.10008.1.2.1")
STORED = HEADER + DATA_SET
UUID = "12345678-1234-4123-8123-123456789abc"


def sent(data_set: bytes) -> Acknowledged:
    return Acknowledged("", "", "", "", "id", md5(data_set))


def md5(data: bytes) -> str:
    return hashlib.md5(data).hexdigest()


def row(stored: bytes = STORED, content: bytes = STORED, compression_type: int = 1) -> AttachmentRow:
    return AttachmentRow("id", UUID, compression_type, len(stored), len(content), md5(stored), md5(content))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = path_of(tmp_path, UUID)
    path.parent.mkdir(parents=True)
    path.write_bytes(STORED)
    return path


def test_file_lies_where_orthanc_looks_for_it(tmp_path: Path) -> None:
    assert path_of(tmp_path, UUID) == tmp_path / "12" / "34" / UUID


def test_data_set_begins_behind_the_header() -> None:
    assert data_set_offset(STORED) == len(HEADER)
    assert data_set_offset(DATA_SET) is None
    assert data_set_offset(b"") is None


def test_a_sound_file_has_no_fault(path: Path) -> None:
    assert fault_of_file(path, row(), sent(DATA_SET)) == ""


def test_a_lost_file_is_not_a_wrong_one(path: Path) -> None:
    path.unlink()
    assert fault_of_file(path, row(), sent(DATA_SET)) is None


def test_a_truncated_file_is_told_by_its_size(path: Path) -> None:
    path.write_bytes(STORED[:-2])
    assert fault_of_file(path, row(), sent(DATA_SET)) == f"{len(STORED) - 2} bytes instead of {len(STORED)}"


def test_a_changed_byte_is_told_by_the_row(path: Path) -> None:
    path.write_bytes(STORED[:-1] + b"1")
    assert fault_of_file(path, row(), sent(DATA_SET)) == "another MD5 than that of the row"


def test_a_row_that_agrees_with_the_wrong_bytes_does_not_help(path: Path) -> None:
    # Given bytes that were damaged before the node took their MD5, or a node that takes none
    damaged = STORED[:-1] + b"1"
    path.write_bytes(damaged)
    without_md5 = AttachmentRow("id", UUID, 1, len(STORED), len(STORED), "", "")

    # Then the sender's own MD5 tells
    assert fault_of_file(path, row(damaged, damaged), sent(DATA_SET)) == "another data set than the one sent"
    assert fault_of_file(path, without_md5, sent(DATA_SET)) == "another data set than the one sent"


def test_a_file_without_header_is_no_dicom_file(path: Path) -> None:
    path.write_bytes(DATA_SET)
    assert fault_of_file(path, row(DATA_SET, DATA_SET), sent(DATA_SET)) == "no Part 10 header"


def test_a_compressed_file_is_compared_by_what_it_holds(path: Path) -> None:
    # Given an attachment as a node with StorageCompression writes it
    compressed = len(STORED).to_bytes(8, "little") + zlib.compress(STORED)
    path.write_bytes(compressed)

    assert fault_of_file(path, row(compressed, STORED, 2), sent(DATA_SET)) == ""
    assert fault_of_file(path, row(compressed, STORED, 2), sent(b"")) == "another data set than the one sent"


def test_broken_compression_is_a_fault_and_no_crash(path: Path) -> None:
    path.write_bytes(b"01234567 not zlib")
    assert "no zlib data" in str(fault_of_file(path, row(b"01234567 not zlib", STORED, 2), sent(DATA_SET)))
