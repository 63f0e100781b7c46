"""POST /instances: one DICOM file (interop/rest.md 3)."""

from collections.abc import Iterator

from starlette.requests import Request
from starlette.responses import Response

from cluster.ingest.commit import Stored
from cluster.ingest.origin import Origin
from workers.http.answers import json_answer
from workers.http.body import RequestBody, gunzip
from workers.http.errors import BAD_FILE_FORMAT, UNSUPPORTED_MEDIA_TYPE, Refusal
from workers.http.services import Services

_ENCODINGS = {"": False, "identity": False, "gzip": True, "x-gzip": True}


async def post_instances(services: Services, request: Request) -> Response:
    """Store the posted file, passing its bytes on as they come."""
    services.require_ready()
    is_gzip = _is_gzip(request)
    with services.uploads.admit():
        body = RequestBody(request.receive)
        # On the loop: a small file then needs its thread only once it is complete.
        first = await body.next_piece()
        stored = await services.uploads.run(_store, services, _origin(request), body.pieces(first), is_gzip)
    return json_answer(
        {
            "ID": stored.ids.instance,
            "ParentPatient": stored.ids.patient,
            "ParentSeries": stored.ids.series,
            "ParentStudy": stored.ids.study,
            "Path": f"/instances/{stored.ids.instance}",
            "Status": stored.status,
        }
    )


def _is_gzip(request: Request) -> bool:
    if request.headers.get("content-type", "").lower().startswith("multipart/"):
        raise Refusal(UNSUPPORTED_MEDIA_TYPE, "multipart bodies are not served by this version; post the file itself")
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


def _store(services: Services, origin: Origin, received: Iterator[bytes], is_gzip: bool) -> Stored:
    pieces = gunzip(received) if is_gzip else received
    first = next(pieces, b"")
    if not first:
        raise Refusal(BAD_FILE_FORMAT, "the body is empty")
    if first.startswith(b"PK\x03\x04") and first[128:132] != b"DICM":
        raise Refusal(
            UNSUPPORTED_MEDIA_TYPE, "ZIP archives are not served by this version; use `orthanc-cluster import`"
        )
    with services.intake.receive(origin) as reception:
        reception.write(first)
        for piece in pieces:
            reception.write(piece)
        return reception.commit()
