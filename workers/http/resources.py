"""GET /{patients,studies,series,instances} and one of each (interop/rest.md 4)."""

from starlette.requests import Request
from starlette.responses import Response

from cluster.index import resources
from workers.http.answers import PooledStream, json_answer, json_array
from workers.http.described import takes
from workers.http.expansion import FORMATS, shown, shown_ids, wanted_by
from workers.http.levels import level_of
from workers.http.parameters import WINDOW, flag, window
from workers.http.services import Services


@takes(WINDOW, {"expand": "Objects instead of ids."}, FORMATS)
def list_resources(services: Services, request: Request) -> Response:
    """Ids of a level, or expanded resources, in ascending order of id; `response-content` expands too."""
    services.require_ready()
    level = level_of(request)
    since, limit = window(request)
    if flag(request, "expand") or "response-content" in request.query_params:
        wanted = wanted_by(request)
        found = resources.resources(services.database, level, since, limit, wanted.detail)
        pieces = json_array(shown(services, level, page, wanted) for page in found)
    else:
        pieces = json_array(resources.public_ids(services.database, level, since, limit))
    return PooledStream.begun(services.reads, pieces)


@takes(FORMATS)
def get_resource(services: Services, request: Request) -> Response:
    """One expanded resource; 404 with an empty body if there is none."""
    services.require_ready()
    wanted = wanted_by(request)
    objects = shown_ids(services, level_of(request), [request.path_params["id"]], wanted)
    return json_answer(objects[0]) if objects else Response(status_code=404)
