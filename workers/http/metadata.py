"""Routes of metadata (interop/rest.md 5, interop/revisions.md)."""

from starlette.requests import Request
from starlette.responses import Response

from cluster.config.user_types import FIRST_USER_TYPE
from cluster.index import metadata
from workers.http.answers import json_answer
from workers.http.described import TEXT, gives, takes
from workers.http.errors import BAD_REQUEST, Refusal
from workers.http.expanded import PATHS
from workers.http.handlers import Routes, reading
from workers.http.levels import level_of
from workers.http.parameters import flag
from workers.http.revisions import etag, not_modified, precondition_of
from workers.http.services import Services
from workers.http.user_types import metadata_name, metadata_type
from workers.http.writing import done, writing, writing_body


@takes({"expand": "With values.", "numeric": "Numbers instead of names."})
def list_metadata(services: Services, request: Request) -> Response:
    """Names, or numbers (`numeric`), with the values if `expand` says so."""
    services.require_ready()
    found = metadata.list_metadata(services.database, level_of(request), request.path_params["id"])
    is_numeric = flag(request, "numeric")
    if flag(request, "expand"):
        settings = services.settings
        return json_answer(
            {str(kind) if is_numeric else metadata_name(settings, kind): text for kind, text in found.items()}
        )
    return json_answer(list(found) if is_numeric else [metadata_name(services.settings, kind) for kind in found])


@gives(TEXT)
def get_metadata(services: Services, request: Request) -> Response:
    """One value with its ETag; 404 without a body where the resource has none."""
    services.require_ready()
    kind = _kind(services, request)
    found = metadata.read_metadata(services.database, level_of(request), request.path_params["id"], kind)
    if found is None:
        return Response(status_code=404)
    return not_modified(request, found.version) or Response(
        found.value.encode(), headers=etag(found.version), media_type="text/plain"
    )


@gives(TEXT)
def put_metadata(services: Services, request: Request, body: bytes) -> Response:
    """Write one value; only types of users."""
    kind = _kind(services, request)
    if kind < FIRST_USER_TYPE:
        return Response(status_code=403)
    precondition = precondition_of(services, request)
    try:
        text = body.decode()
    except UnicodeDecodeError:
        raise Refusal(BAD_REQUEST, "metadata must be text in UTF-8") from None
    if "\0" in text:
        raise Refusal(BAD_REQUEST, "metadata must not contain a NUL character")
    level, public_id = level_of(request), request.path_params["id"]
    version = metadata.put_metadata(services.database, level, public_id, kind, text, precondition)
    return Response(b"", headers=etag(version), media_type="text/plain")


@gives(TEXT)
def delete_metadata(services: Services, request: Request) -> Response:
    """Delete one value; only types of users."""
    kind = _kind(services, request)
    if kind < FIRST_USER_TYPE:
        return Response(status_code=403)
    precondition = precondition_of(services, request)
    metadata.delete_metadata(services.database, level_of(request), request.path_params["id"], kind, precondition)
    return done()


def _kind(services: Services, request: Request) -> int:
    return metadata_type(services.settings, request.path_params["name"])


ROUTES: Routes = {f"/{path}/{{id}}/metadata": {"GET": reading(list_metadata)} for path in PATHS.values()} | {
    f"/{path}/{{id}}/metadata/{{name}}": {
        "GET": reading(get_metadata),
        "PUT": writing_body(put_metadata),
        "DELETE": writing(delete_metadata),
    }
    for path in PATHS.values()
}
