"""POST /instances: DICOM files, alone, in a form, or in a ZIP archive (interop/rest.md 3)."""

import time
from collections.abc import Iterator
from itertools import chain
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from cluster import telemetry
from cluster.errors import BadDicom
from cluster.ingest.commit import Stored
from cluster.ingest.origin import Origin
from workers.http.answers import JSON_TYPE, orthanc_json
from workers.http.body import RequestBody, gunzip, limited, refuse_if_announced
from workers.http.described import sent, takes
from workers.http.errors import BAD_FILE_FORMAT, UNSUPPORTED_MEDIA_TYPE, Refusal
from workers.http.multipart import boundary_of, parts_of
from workers.http.parameters import flag
from workers.http.services import Services
from workers.http.zip_upload import BEGINNINGS, Taken, store_archive

_ENCODINGS = {"": False, "identity": False, "gzip": True, "x-gzip": True}


@takes({"refused": "What is no DICOM file is told, too (ours)."})
@sent("application/dicom, application/zip, multipart/form-data")
async def post_instances(services: Services, request: Request) -> Response:
    """Store what is posted, passing its bytes on as they come.

    One file is answered with an object, an archive or a form with an array of what is DICOM in it; with `refused` also
    of what is not.
    """
    services.require_ready()
    is_gzip = _is_gzip(request)
    content_type = request.headers.get("content-type", "")
    boundary = boundary_of(content_type) if content_type.lower().startswith("multipart/") else None
    maximum = services.settings.http.maximum_request_body_bytes
    refuse_if_announced(request, maximum)
    with services.uploads.admit():
        body = RequestBody(request.receive)
        # On the loop: a small file then needs its thread only once it is complete.
        first = await body.next_piece()
        received = limited(body.pieces(first), maximum)
        answer, since = await services.uploads.run(_store, services, _origin(request), received, is_gzip, boundary)
    if isinstance(answer, Stored):
        return _Answer(_stored(answer), since)
    refused = [{"Details": reason, "Filename": name, "Status": "Failure"} for name, reason in answer.refused]
    taken = [_stored(stored) for stored in answer.stored]
    return _Answer(taken + (refused if flag(request, "refused") else []), since)


class _Answer(Response):
    """Ends the phase `answer`, which began when all was stored; one for all of an archive or a form."""

    def __init__(self, value: Any, since: float) -> None:
        super().__init__(orthanc_json(value) + "\n", media_type=JSON_TYPE)
        self._since = since

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it (ASGI)."""
        await super().__call__(scope, receive, send)
        telemetry.end_phase("answer", self._since)


def _stored(stored: Stored) -> dict[str, Any]:
    return {
        "ID": stored.ids.instance,
        "ParentPatient": stored.ids.patient,
        "ParentSeries": stored.ids.series,
        "ParentStudy": stored.ids.study,
        "Path": f"/instances/{stored.ids.instance}",
        "Status": stored.status,
    }


def _is_gzip(request: Request) -> bool:
    encoding = request.headers.get("content-encoding", "").strip().lower()
    if encoding not in _ENCODINGS:
        raise Refusal(UNSUPPORTED_MEDIA_TYPE, f"content encoding {encoding!r} is not served, only gzip")
    return _ENCODINGS[encoding]


def _origin(request: Request) -> Origin:
    return Origin(
        "RestApi",
        remote_aet="",
        remote_ip=request.client.host if request.client else None,
        called_aet=None,
        http_username=request.scope["http_username"],
    )


def _store(
    services: Services, origin: Origin, received: Iterator[bytes], is_gzip: bool, boundary: bytes | None
) -> tuple[Stored | Taken, float]:
    """What became of it, and when that was known (`time.monotonic`)."""
    pieces = gunzip(received) if is_gzip else received
    if boundary is None:
        return _store_body(services, origin, pieces), time.monotonic()
    return _store_parts(services, origin, pieces, boundary), time.monotonic()


def _store_body(services: Services, origin: Origin, pieces: Iterator[bytes]) -> Stored | Taken:
    first = next(pieces, b"")
    if not first:
        raise Refusal(BAD_FILE_FORMAT, "the body is empty")
    if not _is_archive(first):
        return _store_file(services, origin, chain([first], pieces))
    taken = Taken()
    store_archive(services.intake, origin, chain([first], pieces), taken)
    return taken


def _store_parts(services: Services, origin: Origin, pieces: Iterator[bytes], boundary: bytes) -> Taken:
    """Each part is a file, or an archive; what is neither is left out."""
    taken = Taken()
    for name, content in parts_of(pieces, boundary):
        # Enough to see what it is, however the body came.
        beginning = b""
        while len(beginning) < _ENOUGH_TO_TELL and (piece := next(content, b"")):
            beginning += piece
        if _is_archive(beginning):
            store_archive(services.intake, origin, chain([beginning], content), taken)
        elif beginning:
            try:
                taken.stored.append(_store_file(services, origin, chain([beginning], content)))
            except BadDicom as error:
                taken.refuse(name, str(error))
    return taken


_ENOUGH_TO_TELL = 132


def _is_archive(beginning: bytes) -> bool:
    # A preamble may hold anything.
    return beginning.startswith(BEGINNINGS) and beginning[128:132] != b"DICM"


def _store_file(services: Services, origin: Origin, pieces: Iterator[bytes]) -> Stored:
    with services.intake.receive(origin) as reception:
        for piece in pieces:
            reception.write(piece)
        return reception.commit()
