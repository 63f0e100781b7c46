"""DELETE of resources, and POST /tools/bulk-delete (interop/rest.md 3)."""

import contextlib
from collections.abc import Iterator
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from cluster.dicom.levels import Level
from cluster.errors import UnknownResource
from cluster.index.deletion import delete_resource, levels_of
from workers.http.answers import json_answer
from workers.http.described import TEXT, gives
from workers.http.errors import BAD_REQUEST, PARAMETER_OUT_OF_RANGE, Refusal
from workers.http.expanded import PATHS, TYPES, path_of
from workers.http.handlers import Routes
from workers.http.levels import level_named, level_of
from workers.http.services import Services
from workers.http.writing import done, writing, writing_json


def delete(services: Services, request: Request) -> Response:
    """Delete a resource; its files go later, so that the answer does not wait for them."""
    remaining = delete_resource(services.database, level_of(request), request.path_params["id"])
    if remaining is None:
        return json_answer({"RemainingAncestor": None})
    level, public_id = remaining.level, remaining.public_id
    return json_answer(
        {"RemainingAncestor": {"ID": public_id, "Path": path_of(level, public_id), "Type": TYPES[level]}}
    )


@gives(TEXT)
def bulk_delete(services: Services, request: Request, body: Any) -> Response:
    """Delete each of many resources, in a transaction of its own; unknown ones are skipped."""
    for level, public_id in _resources(services, body):
        with contextlib.suppress(UnknownResource):
            delete_resource(services.database, level, public_id)
    return done()


def _resources(services: Services, body: Any) -> Iterator[tuple[Level, str]]:
    if not isinstance(body, dict) or not isinstance(body.get("Resources"), list):
        raise Refusal(BAD_REQUEST, "the body must be an object with an array 'Resources'")
    wanted = [_wanted(resource) for resource in body["Resources"]]
    levels = levels_of(services.database, [public_id for level, public_id in wanted if level is None])
    for level, public_id in wanted:
        found = level if level is not None else levels.get(public_id)
        if found is not None:
            yield found, public_id


def _wanted(resource: Any) -> tuple[Level | None, str]:
    level = None
    if isinstance(resource, dict):
        level = level_named(resource.get("Level"))
        if level is None:
            raise Refusal(PARAMETER_OUT_OF_RANGE, f"'Level' must be one of {', '.join(TYPES.values())}")
        resource = resource.get("ID")
    if not isinstance(resource, str) or "\0" in resource or not resource.isascii():
        raise Refusal(BAD_REQUEST, "a resource must be an id, or an object of 'Level' and 'ID'")
    return level, resource


ROUTES: Routes = {f"/{path}/{{id}}": {"DELETE": writing(delete)} for path in PATHS.values()} | {
    "/tools/bulk-delete": {"POST": writing_json(bulk_delete)}
}
