"""The bytes of an attachment, or one range of them (interop/rest.md 5)."""

import re
from typing import BinaryIO

from starlette.requests import Request
from starlette.responses import Response

from cluster.errors import UnknownResource
from cluster.index.attached_files import AttachedFile, Slot, read_attachment
from workers.archives.content import pieces, stored_pieces
from workers.http.answers import PooledStream
from workers.http.errors import BAD_REQUEST, Refusal
from workers.http.ranges import wanted_range
from workers.http.revisions import etag, not_modified
from workers.http.services import Services
from workers.http.user_types import mime_type

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
        size = stored.compressed_size if is_raw else stored.size
        status, start, stop = 200, 0, size
        headers = etag(found.version) | _disposition(request) | {"Accept-Ranges": "bytes"}
        wanted = wanted_range(request, size)
        if wanted is not None:
            status, (start, stop) = 206, wanted
            headers["Content-Range"] = f"bytes {start}-{stop - 1}/{size}"
        headers["Content-Length"] = str(stop - start)
        return PooledStream.begun(
            services.reads,
            (stored_pieces if is_raw else pieces)(file, stored, start, stop),
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
