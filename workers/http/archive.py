"""ZIP archives of resources, streamed (interop/rest.md 6).

They are made while they are sent and never stored: an asynchronous job that leaves one behind is not served. Neither
are media: the records of a DICOMDIR point to each other, so all of them would have to be in memory.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from cluster.dicom.levels import Level
from cluster.index.archive import archived_files
from cluster.index.attachments import Attachment
from cluster.index.tree import exists
from workers.http.answers import PooledStream
from workers.http.errors import BAD_REQUEST, NOT_IMPLEMENTED, Refusal
from workers.http.expanded import PATHS
from workers.http.files import pieces
from workers.http.handlers import Routes, reading, reading_json
from workers.http.levels import level_of
from workers.http.parameters import refuse_unserved
from workers.http.services import Services
from workers.http.zip_stream import zip_stream

_UNSERVED = ("transcode", "lossy-quality")
_UNSERVED_FIELDS = ("Transcode", "LossyQuality", "Utf8")
_UNSAFE_IN_NAME = re.compile(r"[^ !#-\[\]-~]")


def get_archive(services: Services, request: Request) -> Response:
    """A patient, study or series."""
    services.require_ready()
    refuse_unserved(request, _UNSERVED)
    return _archive_of_path(services, request, request.query_params.get("filename", ""))


def post_archive(services: Services, request: Request, body: Any) -> Response:
    """The same with its options in a body."""
    options = _options(body)
    return _archive_of_path(services, request, options.get("Filename", ""))


def get_create_archive(services: Services, request: Request) -> Response:
    """Any resources, named by the parameter `resources`."""
    services.require_ready()
    refuse_unserved(request, _UNSERVED)
    ids = [public_id for public_id in request.query_params.get("resources", "").split(",") if public_id]
    return _archive(services, ids, request.query_params.get("filename", ""))


def post_create_archive(services: Services, request: Request, body: Any) -> Response:
    """Any resources: an array of ids, or an object with one in `Resources`."""
    options: dict[str, Any] = {"Resources": body} if isinstance(body, list) else _options(body)
    ids = options.get("Resources")
    if not isinstance(ids, list) or not all(isinstance(public_id, str) for public_id in ids):
        raise Refusal(BAD_REQUEST, "'Resources' must be an array of ids")
    if any("\0" in public_id or not public_id.isascii() for public_id in ids):
        raise Refusal(BAD_REQUEST, "'Resources' has what is no id")
    return _archive(services, ids, options.get("Filename", ""))


def media(services: Services, request: Request) -> Response:
    """Refused: see above."""
    raise Refusal(NOT_IMPLEMENTED, "media with a DICOMDIR are not served by this version; '/archive' is")


def _archive_of_path(services: Services, request: Request, filename: str) -> Response:
    public_id = request.path_params["id"]
    if not exists(services.database, level_of(request), public_id):
        return Response(status_code=404)
    return _archive(services, [public_id], filename or f"{public_id}.zip")


def _options(body: Any) -> dict[str, Any]:
    if not isinstance(body, dict):
        raise Refusal(BAD_REQUEST, "the body must be a JSON object")
    if body.get("Asynchronous") not in (None, False) or body.get("Synchronous") not in (None, True):
        raise Refusal(NOT_IMPLEMENTED, "archives are made synchronously only in this version")
    for name in _UNSERVED_FIELDS:
        if body.get(name):
            raise Refusal(NOT_IMPLEMENTED, f"the field '{name}' is not served by this version")
    if not isinstance(body.get("Filename", ""), str):
        raise Refusal(BAD_REQUEST, "'Filename' must be text")
    return body


def _archive(services: Services, ids: Sequence[str], filename: str) -> Response:
    name = _UNSAFE_IN_NAME.sub("_", filename or "Archive.zip")
    return PooledStream.begun(
        services.reads,
        zip_stream(_contents(services, ids)),
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
        media_type="application/zip",
    )


def _contents(services: Services, ids: Sequence[str]) -> Iterator[tuple[str, int, Iterator[bytes]]]:
    for path, attachment in archived_files(services.database, ids):
        yield path, attachment.size, _content(services, attachment)


def _content(services: Services, attachment: Attachment) -> Iterator[bytes]:
    with services.storage.open(attachment.uuid) as file:
        yield from pieces(file, attachment, 0, attachment.size)


_LEVELS = (Level.PATIENT, Level.STUDY, Level.SERIES)

ROUTES: Routes = (
    {
        f"/{PATHS[level]}/{{id}}/archive": {"GET": reading(get_archive), "POST": reading_json(post_archive)}
        for level in _LEVELS
    }
    | {f"/{PATHS[level]}/{{id}}/media": {"GET": reading(media), "POST": reading(media)} for level in _LEVELS}
    | {"/tools/create-archive": {"GET": reading(get_create_archive), "POST": reading_json(post_create_archive)}}
    | {f"/tools/create-media{kind}": {"GET": reading(media), "POST": reading(media)} for kind in ("", "-extended")}
)
