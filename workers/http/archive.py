"""ZIP archives of resources, and media with a DICOMDIR (interop/rest.md 6).

Whoever waits for one gets it while it is made, and nothing is stored. Asynchronously it is a job, which leaves a file.
"""

import uuid
from collections.abc import Mapping
from functools import partial
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from cluster import tracing
from cluster.dicom.levels import Level
from cluster.index.archive import archive_size
from cluster.index.tree import exists
from cluster.jobs.registry import NewJob, Registry
from workers.archives.kinds import entries
from workers.archives.zip_stream import zip_stream
from workers.http.answers import PooledStream, json_answer
from workers.http.archive_requests import OPTIONS, Kind, Order, order_of_body, order_of_query
from workers.http.described import JSON, gives, takes
from workers.http.expanded import PATHS
from workers.http.handlers import Handler, Routes, reading, reading_json
from workers.http.levels import level_of
from workers.http.services import Services

ZIP_TYPE = "application/zip"


@takes(OPTIONS)
@gives(ZIP_TYPE)
def get_resource(kind: Kind, services: Services, request: Request) -> Response:
    """A patient, study or series."""
    services.require_ready()
    public_id = request.path_params["id"]
    order = order_of_query(request, kind, [public_id], f"{public_id}.zip", extended=False)
    return _of_path(services, request, order)


@gives(f"{ZIP_TYPE}, {JSON}")
def post_resource(kind: Kind, services: Services, request: Request, body: Any) -> Response:
    """The same with its options in a body."""
    public_id = request.path_params["id"]
    return _of_path(services, request, order_of_body(body, kind, [public_id], f"{public_id}.zip", extended=False))


@takes({"resources": "Ids, separated by commas."}, OPTIONS)
@gives(ZIP_TYPE)
def get_any(kind: Kind, extended: bool, services: Services, request: Request) -> Response:
    """Any resources, named by the parameter `resources`."""
    services.require_ready()
    ids = [public_id for public_id in request.query_params.get("resources", "").split(",") if public_id]
    return _archive(services, order_of_query(request, kind, ids, "Archive.zip", extended=extended))


@gives(f"{ZIP_TYPE}, {JSON}")
def post_any(kind: Kind, extended: bool, services: Services, request: Request, body: Any) -> Response:
    """Any resources, named in the body."""
    return _archive(services, order_of_body(body, kind, None, "Archive.zip", extended=extended))


def _of_path(services: Services, request: Request, order: Order) -> Response:
    if not exists(services.database, level_of(request), request.path_params["id"]):
        return Response(status_code=404)
    return _archive(services, order)


def _archive(services: Services, order: Order) -> Response:
    if order.is_asynchronous:
        return _submitted(services, order)
    return PooledStream.begun(
        services.reads,
        zip_stream(entries(services.database, services.storage, order.wanted)),
        headers=disposition(order.wanted.file_name),
        media_type=ZIP_TYPE,
    )


def _submitted(services: Services, order: Order) -> Response:
    files, size = archive_size(services.database, order.wanted.resources)
    job_id = uuid.uuid4()
    content = {
        "Description": "REST API",
        "InstancesCount": files,
        "UncompressedSize": str(size),
        "UncompressedSizeMB": size >> 20,
        "ArchiveSize": "0",
        "ArchiveSizeMB": 0,
    }
    task = {"archive": order.wanted.to_json(), "files": files, "trace": dict(tracing.headers())}
    registry = Registry(services.database)
    registry.create(NewJob(job_id, order.wanted.kind, order.priority, task, content, order.user_data))
    services.waker.for_job()
    return json_answer({"ID": str(job_id), "Path": f"/jobs/{job_id}"})


def disposition(file_name: str) -> Mapping[str, str]:
    """The header that names the file; `file_name` is safe."""
    return {"Content-Disposition": f'attachment; filename="{file_name}"'}


def _methods(get: Any, post: Any) -> Mapping[str, Handler]:
    return {"GET": reading(get), "POST": reading_json(post)}


_KINDS: tuple[tuple[Kind, str], ...] = (("Archive", "archive"), ("Media", "media"))
_ANY: tuple[tuple[Kind, bool, str], ...] = (
    ("Archive", False, "create-archive"),
    ("Media", False, "create-media"),
    ("Media", True, "create-media-extended"),
)

ROUTES: Routes = {
    f"/{PATHS[level]}/{{id}}/{name}": _methods(partial(get_resource, kind), partial(post_resource, kind))
    for level in (Level.PATIENT, Level.STUDY, Level.SERIES)
    for kind, name in _KINDS
} | {
    f"/tools/{name}": _methods(partial(get_any, kind, extended), partial(post_any, kind, extended))
    for kind, extended, name in _ANY
}
