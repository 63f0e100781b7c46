"""The bytes of an attachment, or one range of them (interop/rest.md 5; RFC 9110 section 14)."""

import re
from collections.abc import Iterator
from typing import BinaryIO

from starlette.requests import Request
from starlette.responses import Response

from cluster.errors import StorageFailed, UnknownResource
from cluster.index.attached_files import AttachedBytes, AttachedFile, Slot, read_attachment
from cluster.index.attachments import Compression
from cluster.storage.zlib_form import inflated, plain
from workers.http.answers import PooledStream
from workers.http.errors import BAD_RANGE, BAD_REQUEST, NOT_IMPLEMENTED, Refusal
from workers.http.revisions import etag, not_modified
from workers.http.services import Services
from workers.http.user_types import mime_type

_RANGE = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})")
_FILE_NAME = re.compile(r"[^\x00-\x1f\x7f\"\\/]{1,255}")


def bytes_answer(services: Services, request: Request, slot: Slot, is_raw: bool) -> Response:
    """The content of an attachment, or (`is_raw`) its bytes as they are stored; 404 without a body if there is none."""
    opened = _open(services, slot)
    if opened is None:
        return Response(status_code=404)
    found, file = opened
    try:
        unchanged = not_modified(request, found.version)
        if unchanged is not None:
            file.close()
            return unchanged
        stored = found.bytes
        is_plain = is_raw or stored.compression == Compression.NONE
        size = stored.compressed_size if is_raw else stored.size
        status, start, stop = 200, 0, size
        headers = etag(found.version) | _disposition(request) | {"Accept-Ranges": "bytes"}
        wanted = _range(request, size)
        if wanted is not None:
            status, (start, stop) = 206, wanted
            headers["Content-Range"] = f"bytes {start}-{stop - 1}/{size}"
        headers["Content-Length"] = str(stop - start)
        return PooledStream.begun(
            services.reads,
            _part(file, stored, is_plain, start, stop),
            status=status,
            headers=headers,
            media_type="application/octet-stream" if is_raw else mime_type(services.settings, slot.kind),
            close=file.close,
        )
    except BaseException:
        file.close()
        raise


def _open(services: Services, slot: Slot) -> tuple[AttachedFile, BinaryIO] | None:
    """The row and its file; looked for again if the file has gone, as somebody may have replaced both in between."""
    found = read_attachment(services.database, slot)
    while found is not None:
        try:
            return found, services.storage.open(found.bytes.uuid)
        except UnknownResource:
            again = read_attachment(services.database, slot)
            if again is not None and again.bytes.uuid == found.bytes.uuid:
                raise
            found = again
    return None


def _disposition(request: Request) -> dict[str, str]:
    if "filename" not in request.query_params:
        return {}
    name = request.query_params["filename"]
    if not _FILE_NAME.fullmatch(name) or not name.isascii():
        raise Refusal(BAD_REQUEST, "'filename' must be a plain file name in ASCII")
    return {"Content-Disposition": f'attachment; filename="{name}"'}


def _range(request: Request, size: int) -> tuple[int, int] | None:
    """First byte and the one behind the last; None for everything, also where several ranges are asked for.

    Raises:
        Refusal: 416, no such bytes.
    """
    match = _RANGE.fullmatch(request.headers.get("range", "").replace(" ", ""))
    if match is None or match.groups() == ("", "") or "if-range" in request.headers:
        return None
    first, last = match.groups()
    start = int(first) if first else max(size - int(last), 0)
    stop = min(int(last) + 1, size) if first and last else size
    if start >= size or start >= stop:
        raise Refusal(BAD_RANGE, f"no such bytes: there are {size}")
    return start, stop


def _part(file: BinaryIO, stored: AttachedBytes, is_plain: bool, start: int, stop: int) -> Iterator[bytes]:
    if is_plain:
        file.seek(start)
        pieces, skipped = plain(file), 0
    elif stored.compression == Compression.ZLIB_WITH_SIZE:
        pieces, skipped = inflated(file, stored.size), start
    else:
        raise Refusal(NOT_IMPLEMENTED, f"attachments of compression type {stored.compression} are not served")
    left = stop - start
    for piece in pieces:
        part = piece[skipped : skipped + left]
        skipped = max(skipped - len(piece), 0)
        left -= len(part)
        if part:
            yield part
        if left == 0:
            return
    if left:
        raise StorageFailed(f"attachment {stored.uuid} is shorter than the index says")
