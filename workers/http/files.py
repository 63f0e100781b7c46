"""GET /instances/{id}/file (interop/rest.md 4; ranges: `ranges.py`)."""

from collections.abc import Iterator
from typing import BinaryIO

from starlette.requests import Request
from starlette.responses import Response

from cluster.errors import StorageFailed
from cluster.index.attachments import Attachment, Compression, dicom_attachment
from cluster.storage.zlib_form import PIECE_BYTES, inflated
from workers.http.answers import PooledStream
from workers.http.errors import NOT_IMPLEMENTED, Refusal
from workers.http.parameters import refuse_unserved
from workers.http.ranges import wanted_range
from workers.http.services import Services


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
        wanted = wanted_range(request, attachment.size)
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


def pieces(file: BinaryIO, attachment: Attachment, start: int, stop: int) -> Iterator[bytes]:
    """The uncompressed bytes of an attachment from `start` to `stop`. Raises StorageFailed."""
    match attachment.compression:
        case Compression.NONE:
            yield from stored_pieces(file, attachment, start, stop)
        case Compression.ZLIB_WITH_SIZE:
            yield from _cut(inflated(file, attachment.size, attachment.uuid), start, stop)
        case other:
            raise Refusal(NOT_IMPLEMENTED, f"attachments of compression type {other} are not served")


def stored_pieces(file: BinaryIO, attachment: Attachment, start: int, stop: int) -> Iterator[bytes]:
    """The bytes of an attachment as they are stored, from `start` to `stop`. Raises StorageFailed."""
    file.seek(start)
    left = stop - start
    while left > 0:
        piece = file.read(min(PIECE_BYTES, left))
        if not piece:
            raise StorageFailed(f"attachment {attachment.uuid} is shorter than the index says")
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
