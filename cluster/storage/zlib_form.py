"""Compression type 2 of attachments: 8 bytes of size, little-endian, then a zlib stream (interop/enumerations.md).

An empty file stands for empty content. Everything passes in pieces: an attachment may be larger than memory.
"""

import struct
import zlib
from collections.abc import Iterator
from typing import BinaryIO

from cluster.errors import StorageFailed

PIECE_BYTES = 256 * 1024

_LEVEL = 6
_PREFIX = struct.Struct("<Q")


def plain(file: BinaryIO) -> Iterator[bytes]:
    """The bytes as they are."""
    while piece := file.read(PIECE_BYTES):
        yield piece


def deflated(file: BinaryIO, size: int) -> Iterator[bytes]:
    """Content of `size` bytes in the compressed form."""
    if size == 0:
        return
    yield _PREFIX.pack(size)
    deflate = zlib.compressobj(_LEVEL)
    for piece in plain(file):
        if data := deflate.compress(piece):
            yield data
    yield deflate.flush()


def inflated(file: BinaryIO, size: int, uuid: str) -> Iterator[bytes]:
    """Content of `size` bytes out of the compressed form that attachment `uuid` has.

    Raises:
        StorageFailed: there is less, or more, than that.
    """
    if size == 0:
        return
    file.read(_PREFIX.size)
    inflate = zlib.decompressobj()
    left = size
    rest = b""
    try:
        while not inflate.eof:
            rest = inflate.unconsumed_tail or file.read(PIECE_BYTES)
            # A last piece may come out without new input.
            data = inflate.decompress(rest, PIECE_BYTES) if rest else inflate.flush(PIECE_BYTES)
            left -= len(data)
            if left < 0 or (not rest and not data):
                break
            if data:
                yield data
    except zlib.error as error:
        raise StorageFailed(f"attachment {uuid} cannot be inflated: {error}") from error
    if left != 0:
        raise StorageFailed(f"attachment {uuid} inflates to another size than the index says")
