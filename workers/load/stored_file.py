"""An attachment in the storage area, compared with its row and with what was sent."""

import hashlib
import zlib
from pathlib import Path

from cluster.errors import UnknownResource
from cluster.index.check import AttachmentRow
from cluster.storage.area import StorageArea
from workers.load.delivery import Acknowledged

_ZLIB = 2
_ZLIB_PREFIX_BYTES = 8
_PREAMBLE_BYTES = 128


def path_of(storage_directory: Path, uuid: str) -> Path:
    """Where Orthanc keeps an attachment (interop/ingest.md 10)."""
    return storage_directory / uuid[0:2] / uuid[2:4] / uuid


def fault_of_file(path: Path, row: AttachmentRow, sent: Acknowledged) -> str | None:
    """What is wrong with the bytes of an attachment, in words; empty if nothing is, None if there is no file."""
    try:
        stored = path.read_bytes()
    except FileNotFoundError:
        return None
    return _fault_of_bytes(stored, row, sent)


def fault_in_area(storage: StorageArea, row: AttachmentRow, sent: Acknowledged) -> str | None:
    """The same of an attachment that is no file, read through its storage area; raises StorageFailed."""
    try:
        with storage.open(row.uuid) as stored:
            return _fault_of_bytes(stored.read(), row, sent)
    except UnknownResource:
        return None


def _fault_of_bytes(stored: bytes, row: AttachmentRow, sent: Acknowledged) -> str:
    if len(stored) != row.compressed_size:
        return f"{len(stored)} bytes instead of {row.compressed_size}"
    if row.compressed_md5 and _md5(stored) != row.compressed_md5:
        return "another MD5 than that of the row"
    if row.compression_type == _ZLIB:
        try:
            stored = zlib.decompress(memoryview(stored)[_ZLIB_PREFIX_BYTES:])
        except zlib.error as error:
            return f"no zlib data ({error})"
        if row.uncompressed_md5 and _md5(stored) != row.uncompressed_md5:
            return "another MD5 than that of the row after decompression"
    if len(stored) != row.uncompressed_size:
        return f"{len(stored)} bytes after decompression instead of {row.uncompressed_size}"
    begin = data_set_offset(stored)
    if begin is None:
        return "no Part 10 header"
    if not sent.is_content(_md5(memoryview(stored)[begin:])):
        return "another data set than the one sent"
    return ""


def data_set_offset(stored: bytes) -> int | None:
    """Where the data set begins, behind preamble, prefix and group 0002 (PS3.10 section 7.1), or None."""
    group_length = _PREAMBLE_BYTES + 4
    # (0002,0000) with VR UL and four bytes has to come first.
    if stored[_PREAMBLE_BYTES : group_length + 8] != b"DICM\x02\x00\x00\x00UL\x04\x00":
        return None
    begin = group_length + 12
    return begin + int.from_bytes(stored[group_length + 8 : begin], "little")


def _md5(data: bytes | memoryview) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()
