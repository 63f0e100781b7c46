"""Routes of attachments (interop/rest.md 5, interop/revisions.md)."""

from collections.abc import Callable, Iterator

from starlette.requests import Request
from starlette.responses import Response

from cluster.config.user_types import FIRST_USER_TYPE
from cluster.index.attached_files import AttachedFile, Slot, delete_attachment, list_attachments, read_attachment
from cluster.index.attachments import Compression
from cluster.index.enumerations import AttachmentType
from cluster.index.limits import Limits
from cluster.ingest.attachment import attach, change_form, is_intact
from workers.http.answers import json_answer
from workers.http.attachment_bytes import bytes_answer
from workers.http.body import RequestBody, limited, refuse_if_announced
from workers.http.described import BYTES, JSON, TEXT, explained, gives, sent, takes
from workers.http.expanded import PATHS
from workers.http.handlers import Handler, Routes, reading
from workers.http.levels import level_of
from workers.http.parameters import flag
from workers.http.revisions import etag, not_modified, precondition_of
from workers.http.services import Services
from workers.http.user_types import attachment_name, attachment_type
from workers.http.writing import done, writing

OPERATIONS = (
    "compress",
    "compressed-data",
    "compressed-md5",
    "compressed-size",
    "data",
    "info",
    "is-compressed",
    "md5",
    "size",
    "uncompress",
    "verify-md5",
)

Answer = Callable[[AttachedFile], Response | None]


@takes({"full": "With numbers."})
def get_attachments(services: Services, request: Request) -> Response:
    """Names of the attachments of a resource; with their numbers if `full` says so."""
    services.require_ready()
    kinds = list_attachments(services.database, level_of(request), request.path_params["id"])
    names = {attachment_name(services.settings, kind): kind for kind in kinds}
    return json_answer(names if flag(request, "full") else list(names))


def get_attachment(services: Services, request: Request) -> Response:
    """What can be done with an attachment."""
    services.require_ready()
    found = read_attachment(services.database, _slot(services, request))
    return Response(status_code=404) if found is None else json_answer(list(OPERATIONS))


@sent(BYTES)
async def put_attachment(services: Services, request: Request) -> Response:
    """Attach the body, passing its bytes on as they come; only types of users."""
    services.require_ready()
    slot = _slot(services, request)
    if slot.kind < FIRST_USER_TYPE:
        return Response(status_code=403)
    precondition = precondition_of(services, request)
    settings = services.settings
    maximum = settings.http.maximum_request_body_bytes
    refuse_if_announced(request, maximum)

    def store(received: Iterator[bytes]) -> Response:
        incoming = services.storage.create(slot.kind)
        try:
            for piece in received:
                incoming.write(piece)
        except BaseException:
            incoming.discard()
            raise
        version = attach(
            services.database,
            services.storage,
            slot,
            incoming,
            compress=settings.storage_compression,
            hashes=settings.store_md5_for_attachments,
            precondition=precondition,
            limits=Limits.of(settings),
        )
        return json_answer_with(etag(version))

    with services.uploads.admit():
        body = RequestBody(request.receive)
        first = await body.next_piece()
        return await services.uploads.run(store, limited(body.pieces(first), maximum))


@gives(TEXT)
def remove_attachment(services: Services, request: Request) -> Response:
    """Delete an attachment; of Orthanc's own only `dicom-as-json`, which nobody reads any more."""
    slot = _slot(services, request)
    if slot.kind < FIRST_USER_TYPE and slot.kind != AttachmentType.DICOM_AS_JSON:
        return Response(status_code=403)
    delete_attachment(services.database, slot, precondition_of(services, request))
    return done()


def json_answer_with(headers: dict[str, str]) -> Response:
    """An empty object, and headers."""
    answer = json_answer({})
    answer.headers.update(headers)
    return answer


def _slot(services: Services, request: Request) -> Slot:
    kind = attachment_type(services.settings, request.path_params["name"])
    return Slot(level_of(request), request.path_params["id"], kind)


def _telling(text: str, text_of: Answer) -> Handler:
    """A route that tells something about an attachment; 404 without a body if there is nothing to tell."""

    def answer(services: Services, request: Request) -> Response:
        services.require_ready()
        found = read_attachment(services.database, _slot(services, request))
        if found is None:
            return Response(status_code=404)
        told = not_modified(request, found.version) or text_of(found)
        if told is None:
            return Response(status_code=404)
        told.headers.update(etag(found.version))
        return told

    return explained(text)(gives(TEXT)(reading(answer)))


def _text(value: object) -> Response | None:
    return Response(str(value), media_type="text/plain") if value != "" else None


def _info(found: AttachedFile) -> Response:
    stored = found.bytes
    return json_answer(
        {
            "CompressedMD5": stored.compressed_md5,
            "CompressedSize": stored.compressed_size,
            "ContentType": found.kind,
            "UncompressedMD5": stored.md5,
            "UncompressedSize": stored.size,
            "Uuid": stored.uuid,
        }
    )


def _bytes(is_raw: bool) -> Handler:
    def answer(services: Services, request: Request) -> Response:
        services.require_ready()
        return bytes_answer(services, request, _slot(services, request), is_raw)

    return gives(BYTES)(takes({"filename": "Name to offer."})(reading(answer)))


def _changing(form: Compression) -> Handler:
    def answer(services: Services, request: Request) -> Response:
        hashes = services.settings.store_md5_for_attachments
        change_form(services.database, services.storage, _slot(services, request), form, hashes=hashes)
        return json_answer({})

    return writing(answer)


def _verify(services: Services, request: Request) -> Response:
    """Compare the stored content with its MD5; 404 where it differs, or there is none."""
    found = read_attachment(services.database, _slot(services, request))
    if found is None or not is_intact(services.storage, found.bytes):
        return Response(status_code=404)
    return json_answer({})


_OF_ONE: dict[str, dict[str, Handler]] = {
    "": {"GET": reading(get_attachment), "PUT": put_attachment, "DELETE": writing(remove_attachment)},
    "/data": {"GET": explained("The content, or one range of it.")(_bytes(is_raw=False))},
    "/compressed-data": {"GET": explained("The content as it is stored.")(_bytes(is_raw=True))},
    "/info": {"GET": gives(JSON)(_telling("Sizes, MD5 and UUID.", _info))},
    "/size": {"GET": _telling("Bytes of the content.", lambda found: _text(found.bytes.size))},
    "/compressed-size": {"GET": _telling("Bytes as it is stored.", lambda found: _text(found.bytes.compressed_size))},
    "/md5": {"GET": _telling("MD5 of the content.", lambda found: _text(found.bytes.md5))},
    "/compressed-md5": {"GET": _telling("MD5 as it is stored.", lambda found: _text(found.bytes.compressed_md5))},
    "/is-compressed": {
        "GET": _telling(
            "Whether it is stored compressed.", lambda found: _text(int(found.bytes.compression != Compression.NONE))
        ),
    },
    "/compress": {"POST": explained("Store it compressed.")(_changing(Compression.ZLIB_WITH_SIZE))},
    "/uncompress": {"POST": explained("Store it as it is.")(_changing(Compression.NONE))},
    "/verify-md5": {"POST": writing(_verify)},
}

ROUTES: Routes = {f"/{path}/{{id}}/attachments": {"GET": reading(get_attachments)} for path in PATHS.values()} | {
    f"/{path}/{{id}}/attachments/{{name}}{operation}": handlers
    for path in PATHS.values()
    for operation, handlers in _OF_ONE.items()
}
