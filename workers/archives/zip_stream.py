"""A ZIP archive as a stream of pieces, made while it is sent.

One piece of one file is in memory at a time, and about half a kilobyte a file for the directory at the end. Files are
deflated a little (level 1): sizes and checksums come behind each one, and readers that work on a stream know how to
deal with that only for deflated files.
"""

import zipfile
from collections.abc import Iterable, Iterator
from io import RawIOBase
from time import gmtime

DEFLATE_LEVEL = 1
PIECE_BYTES = 256 * 1024

_ZIP64_BYTES = 2**31
"""A file that might reach this needs longer fields."""

ZipEntry = tuple[str, int, Iterable[bytes]]
"""Path, size in bytes, pieces of the content."""


class _Sink(RawIOBase):
    """Where zipfile writes to; not seekable."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._size = 0

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        part = bytes(data)  # type: ignore[call-overload]
        self._parts.append(part)
        self._size += len(part)
        return len(part)

    @property
    def is_large(self) -> bool:
        return self._size >= PIECE_BYTES

    def taken(self) -> bytes:
        taken = b"".join(self._parts)
        self._parts.clear()
        self._size = 0
        return taken


def zip_stream(files: Iterable[ZipEntry]) -> Iterator[bytes]:
    """The archive of files that are given by path, size and pieces of their content, which are asked for in order."""
    sink = _Sink()
    now = gmtime()[:6]
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED, compresslevel=DEFLATE_LEVEL) as archive:
        for path, size, content in files:
            entry = zipfile.ZipInfo(path, now)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            entry.file_size = size
            with archive.open(entry, "w", force_zip64=size >= _ZIP64_BYTES) as target:
                for piece in content:
                    target.write(piece)
                    if sink.is_large:
                        yield sink.taken()
    yield sink.taken()
