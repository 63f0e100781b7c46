"""GET /{patients,studies,series,instances} and one of each (interop/rest.md 4)."""

from starlette.requests import Request
from starlette.responses import Response

from cluster.dicom.levels import Level
from cluster.index import resources
from workers.http.answers import PooledStream, json_answer, json_array
from workers.http.expanded import PATHS, TagFormat, expanded
from workers.http.parameters import flag, refuse_unserved, window
from workers.http.services import Services

_LEVELS = {path: level for level, path in PATHS.items()}
_UNSERVED = ("requested-tags", "requestedTags", "response-content")


def list_resources(services: Services, request: Request) -> Response:
    """Ids of a level, or expanded resources, in ascending order of id."""
    services.require_ready()
    level = _level(request)
    since, limit = window(request)
    if flag(request, "expand"):
        refuse_unserved(request, _UNSERVED)
        form = _tag_format(request)
        found = resources.resources(services.database, level, since, limit)
        pieces = json_array([expanded(resource, form) for resource in page] for page in found)
    else:
        pieces = json_array(resources.public_ids(services.database, level, since, limit))
    return PooledStream.begun(services.reads, pieces)


def get_resource(services: Services, request: Request) -> Response:
    """One expanded resource; 404 with an empty body if there is none."""
    services.require_ready()
    refuse_unserved(request, _UNSERVED)
    resource = resources.resource(services.database, _level(request), request.path_params["id"])
    if resource is None:
        return Response(status_code=404)
    return json_answer(expanded(resource, _tag_format(request)))


def _level(request: Request) -> Level:
    return _LEVELS[request.url.path.split("/")[1]]


def _tag_format(request: Request) -> TagFormat:
    if flag(request, "full"):
        return "full"
    return "short" if flag(request, "short") else "keyword"
