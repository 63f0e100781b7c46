"""Deflated data sets: into a temporary file first, so that the walk can seek.

Source: PS3.5, section A.5. A deflated file of a few megabytes can announce terabytes of zeros, so the result is
limited, by size and by ratio.
"""

import tempfile
import zlib
from typing import BinaryIO, cast

from cluster.errors import NotDicom, TruncatedDicom

MAXIMUM_INFLATED_BYTES = 4 * 1024**3
MAXIMUM_RATIO = 200
"""Inflated to deflated bytes. Deflate cannot do more than 1032; header text and images stay below 20."""

UNSUSPICIOUS_BYTES = 16 * 1024**2
"""Up to here the ratio does not matter: a small data set may hold a large empty image."""

_IN_MEMORY_BYTES = 1024**2
_CHUNK_BYTES = 64 * 1024


def inflate(stream: BinaryIO, start: int, size: int) -> tuple[BinaryIO, int]:
    """Inflate what `stream` holds from offset `start` to its end at `size`; the caller closes the file it gets.

    Returns the file and its size. Memory stays below about 1 MiB, the rest is on disk. Raises TruncatedDicom if the
    deflated stream does not end, NotDicom if it is none or inflates beyond the limits.
    """
    limit = min(MAXIMUM_INFLATED_BYTES, max(UNSUSPICIOUS_BYTES, MAXIMUM_RATIO * (size - start)))
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    target = cast(BinaryIO, tempfile.SpooledTemporaryFile(_IN_MEMORY_BYTES))  # noqa: SIM115 - the caller closes it
    try:
        stream.seek(start)
        _inflate(stream, size - start, inflater, target, limit)
    except BaseException:
        target.close()
        raise
    return target, target.tell()


def _inflate(stream: BinaryIO, left: int, inflater: "zlib._Decompress", target: BinaryIO, limit: int) -> None:
    written = 0
    pending = b""
    while not inflater.eof:
        if not pending:
            pending = stream.read(min(_CHUNK_BYTES, left))
            left -= len(pending)
        try:
            inflated = inflater.decompress(pending, _CHUNK_BYTES)
        except zlib.error as error:
            raise NotDicom(f"deflated data set: {error}") from error
        if not pending and not inflated and not inflater.eof:
            raise TruncatedDicom(f"deflated data set ends after {written} inflated bytes, without its end mark")
        pending = inflater.unconsumed_tail
        written += len(inflated)
        if written > limit:
            raise NotDicom(f"deflated data set inflates to more than {limit} bytes")
        target.write(inflated)
