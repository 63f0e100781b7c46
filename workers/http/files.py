"""GET /instances/{id}/file (interop/rest.md 4; ranges as in RFC 9110 section 14)."""

import re
import zlib
from collections.abc import Iterator
from typing import BinaryIO

from starlette.requests import Request
from starlette.responses import Response

from cluster.errors import StorageFailed
from cluster.index.attachments import Attachment, Compression, dicom_attachment
from workers.http.answers import PooledStream
from workers.http.errors import BAD_RANGE, NOT_IMPLEMENTED, Refusal
from workers.http.parameters import refuse_unserved
from workers.http.services import Services

PIECE_BYTES = 256 * 1024
_RANGE = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})")
_SIZE_PREFIX_BYTES = 8


def get_file(services: Services, request: Request) -> Response:
    """The DICOM file of an instance, or one range of it."""
    services.require_ready()
    refuse_unserved(request, ("transcode", "lossy-quality"))
    instance = request.path_params["id"]
    attachment = dicom_attachment(services.database, instance)
    headers = {"Content-Disposition": f'filename="{instance}.dcm"', "Content-Length": str(attachment.size)}
    status, start, stop = 200, 0, attachment.size
    if attachment.compression == Compression.NONE:
        headers["Accept-Ranges"] = "bytes"
        wanted = _range(request, attachment.size)
        if wanted is not None:
            status, (start, stop) = 206, wanted
            headers["Content-Range"] = f"bytes {start}-{stop - 1}/{attachment.size}"
            headers["Content-Length"] = str(stop - start)
    file = services.storage.open(attachment.uuid)
    try:
        return PooledStream.begun(
            services.reads,
            pieces(file, attachment, start, stop),
            status=status,
            headers=headers,
            media_type="application/dicom",
            close=file.close,
        )
    except BaseException:
        file.close()
        raise


def _range(request: Request, size: int) -> tuple[int, int] | None:
    """First byte and the one behind the last; None for the whole file.

    Raises:
        Refusal: 416, no such bytes.
    """
    match = _RANGE.fullmatch(request.headers.get("range", "").replace(" ", ""))
    # Several ranges, or units we do not know, may be ignored; If-Range cannot match as there is no validator.
    if match is None or match.groups() == ("", "") or "if-range" in request.headers:
        return None
    first, last = match.groups()
    start = int(first) if first else max(size - int(last), 0)
    stop = min(int(last) + 1, size) if first and last else size
    if start >= size or start >= stop:
        raise Refusal(BAD_RANGE, f"no such bytes: the file has {size}")
    return start, stop


def pieces(file: BinaryIO, attachment: Attachment, start: int, stop: int) -> Iterator[bytes]:
    """The uncompressed bytes of an attachment; all of them if it is stored compressed. Raises StorageFailed."""
    match attachment.compression:
        case Compression.NONE:
            yield from _plain(file, attachment, start, stop)
        case Compression.ZLIB_WITH_SIZE:
            yield from _inflated(file, attachment)
        case other:
            raise Refusal(NOT_IMPLEMENTED, f"attachments of compression type {other} are not served")


def _plain(file: BinaryIO, attachment: Attachment, start: int, stop: int) -> Iterator[bytes]:
    file.seek(start)
    left = stop - start
    while left > 0:
        piece = file.read(min(PIECE_BYTES, left))
        if not piece:
            raise StorageFailed(f"attachment {attachment.uuid} is shorter than the index says")
        left -= len(piece)
        yield piece


def _inflated(file: BinaryIO, attachment: Attachment) -> Iterator[bytes]:
    """A file that a real Orthanc stored with StorageCompression (interop/enumerations.md, "Compression type 2")."""
    file.read(_SIZE_PREFIX_BYTES)
    inflate = zlib.decompressobj()
    left = attachment.size
    try:
        while left > 0:
            data = inflate.decompress(inflate.unconsumed_tail or file.read(PIECE_BYTES), min(PIECE_BYTES, left))
            if not data and not inflate.unconsumed_tail and (inflate.eof or not (data := inflate.flush())):
                raise StorageFailed(f"attachment {attachment.uuid} inflates to less than the index says")
            left -= len(data)
            if data:
                yield data
    except zlib.error as error:
        raise StorageFailed(f"attachment {attachment.uuid} cannot be inflated: {error}") from error
