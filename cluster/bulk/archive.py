"""ZIP archives as folders of files, read as streams and without trust.

Invariant: memory stays bounded by the piece that is read, whatever the archive says. Therefore only the methods stored
and deflated are read: `zipfile` inflates bzip2 and LZMA in one go. Deflate cannot do better than 1032 to 1
(https://zlib.net/zlib_tech.html, "Maximum Compression Factor"), so an archive that announces more holds the same bytes
several times over, and a large member near that limit is empty of information.
"""

import os
import struct
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from typing import IO

from cluster.bulk.entries import ImportFile, Refusal

SUFFIX = ".zip"
LARGEST_MEMBER_BYTES = 8 << 30
LARGEST_RATIO = 200
"""Uncompressed to compressed size of one member, checked above `UNSUSPECTED_BYTES`."""
UNSUSPECTED_BYTES = 64 << 20
LARGEST_TOTAL_RATIO = 1032

ERRORS = (zipfile.BadZipFile, zlib.error, struct.error, NotImplementedError, RuntimeError, ValueError, EOFError)
"""What `zipfile` raises on archives that are damaged, encrypted or too modern, besides OSError."""

_METHODS = {12: "bzip2", 14: "LZMA", 93: "Zstandard"}
_ENCRYPTED = 0x1

# APPNOTE.TXT 4.3.16, 4.3.14, 4.3.15: end of the directory, its ZIP64 form, and what says that there is one.
_END = struct.Struct("<4s4H2LH")
_LARGE_END = struct.Struct("<4sQ2H2L4Q")
_LOCATOR_BYTES = 20
_LONGEST_TAIL = _END.size + 0xFFFF + _LOCATOR_BYTES + _LARGE_END.size


def list_archive(path: str) -> Iterator[tuple[ImportFile, int] | Refusal]:
    """Members that are worth a look with their uncompressed size in bytes, in the order of the archive, or refusals.

    A damaged archive is one refusal; so is an archive within the archive, which is not opened.
    """
    whole = ImportFile(path)
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            archive_bytes = archive.fp.seek(0, 2) if archive.fp else 0
    except OSError as error:
        yield Refusal(whole, "failed", error.strerror or str(error))
        return
    except ERRORS as error:
        yield Refusal(whole, "failed", f"not a readable ZIP archive: {error}")
        return
    if _announces_too_much(members, archive_bytes):
        yield Refusal(whole, "failed", "ZIP archive announces more bytes than it can hold")
        return
    for index, info in enumerate(members):
        if info.is_dir():
            continue
        file = ImportFile(path, info.filename, index)
        reason = why_not_read(info)
        yield (file, info.file_size) if reason is None else Refusal(file, "failed", reason)


def looks_like_bomb(archive: zipfile.ZipFile) -> bool:
    """Whether an open archive announces more bytes than it can hold."""
    return archive.fp is None or _announces_too_much(archive.infolist(), archive.fp.seek(0, os.SEEK_END))


def directory_bytes(file: IO[bytes]) -> int | None:
    """How long the directory at the end of an archive is, found where `zipfile` looks for it; None if there is none.

    To be known before `zipfile` holds all entries in memory.
    """
    length = file.seek(0, os.SEEK_END)
    file.seek(max(0, length - _LONGEST_TAIL))
    tail = file.read()
    end = tail.rfind(b"PK\x05\x06")
    if end < 0 or len(tail) - end < _END.size:
        return None
    size = int(_END.unpack_from(tail, end)[5])
    # ZIP64 says it again, in a record right before.
    large = end - _LOCATOR_BYTES - _LARGE_END.size
    if large >= 0 and tail[end - _LOCATOR_BYTES :].startswith(b"PK\x06\x07"):
        values = _LARGE_END.unpack_from(tail, large)
        if values[0] == b"PK\x06\x06":
            size = max(0 if size == 0xFFFFFFFF else size, int(values[8]))
    return size


def _announces_too_much(members: Iterable[zipfile.ZipInfo], archive_bytes: int) -> bool:
    return sum(info.file_size for info in members) > LARGEST_TOTAL_RATIO * archive_bytes


def why_not_read(info: zipfile.ZipInfo) -> str | None:
    """The reason not to open a member, if there is one."""
    if info.filename.lower().endswith(SUFFIX):
        return "a ZIP archive inside a ZIP archive is not opened"
    if info.flag_bits & _ENCRYPTED:
        return "encrypted"
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        method = _METHODS.get(info.compress_type, f"number {info.compress_type}")
        return f"compression method {method} is not read"
    if info.file_size > LARGEST_MEMBER_BYTES:
        return f"larger than {LARGEST_MEMBER_BYTES >> 30} GiB"
    if info.file_size > UNSUSPECTED_BYTES and info.file_size > LARGEST_RATIO * info.compress_size:
        return f"compressed more than {LARGEST_RATIO} to 1: looks like a ZIP bomb"
    return None
