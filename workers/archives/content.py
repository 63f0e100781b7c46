"""The bytes of attachments, whatever form they are stored in, a piece at a time."""

import tempfile
from collections.abc import Iterator
from typing import BinaryIO, cast

from cluster.errors import StorageFailed
from cluster.index.attachments import Attachment, Compression
from cluster.storage.area import StorageArea
from cluster.storage.zlib_form import PIECE_BYTES, inflated

_IN_MEMORY_BYTES = 1024 * 1024


def open_plain(storage: StorageArea, attachment: Attachment) -> BinaryIO:
    """The uncompressed bytes of an attachment, seekable: small ones in memory, others in a file that has no name.

    Raises UnknownResource and StorageFailed.
    """
    stream = storage.open(attachment.uuid)
    if attachment.compression == Compression.NONE:
        return stream
    plain = cast(BinaryIO, tempfile.SpooledTemporaryFile(_IN_MEMORY_BYTES))  # noqa: SIM115 - the caller closes it
    try:
        with stream:
            for piece in pieces(stream, attachment, 0, attachment.size):
                plain.write(piece)
    except BaseException:
        plain.close()
        raise
    plain.seek(0)
    return plain


def content(storage: StorageArea, attachment: Attachment) -> Iterator[bytes]:
    """All uncompressed bytes of an attachment, opened at the first step. Raises UnknownResource and StorageFailed."""
    with storage.open(attachment.uuid) as file:
        yield from pieces(file, attachment, 0, attachment.size)


def pieces(file: BinaryIO, attachment: Attachment, start: int, stop: int) -> Iterator[bytes]:
    """The uncompressed bytes of an attachment from `start` to `stop`. Raises StorageFailed."""
    match attachment.compression:
        case Compression.NONE:
            yield from stored_pieces(file, attachment, start, stop)
        case Compression.ZLIB_WITH_SIZE:
            yield from _cut(inflated(file, attachment.size, attachment.uuid), start, stop)
        case other:
            raise StorageFailed(f"attachment {attachment.uuid}: compression type {other} is unknown to this version")


def stored_pieces(file: BinaryIO, attachment: Attachment, start: int, stop: int) -> Iterator[bytes]:
    """The bytes of an attachment as they are stored, from `start` to `stop`. Raises StorageFailed."""
    return piece_of(file, start, stop, f"attachment {attachment.uuid}")


def piece_of(file: BinaryIO, start: int, stop: int, what: str) -> Iterator[bytes]:
    """The bytes of a file from `start` to `stop`; raises StorageFailed if it ends before that."""
    file.seek(start)
    left = stop - start
    while left > 0:
        piece = file.read(min(PIECE_BYTES, left))
        if not piece:
            raise StorageFailed(f"{what} is shorter than the index says")
        left -= len(piece)
        yield piece


def _cut(content: Iterator[bytes], start: int, stop: int) -> Iterator[bytes]:
    skipped, left = start, stop - start
    for piece in content:
        part = piece[skipped : skipped + left]
        skipped = max(skipped - len(piece), 0)
        left -= len(part)
        if part:
            yield part
        if left == 0:
            return
