"""``/jobs``: the jobs of the whole cluster, from any node (interop/rest.md 10).

Bulk imports are jobs too, of type `Import`. What Orthanc does not do to a job in its state (resume one that is not
paused, for example) it answers like an unknown id: 404 without a body.
"""

import logging
from collections.abc import Callable
from typing import Any
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response

from cluster.bulk.imports import Imports
from cluster.errors import ClusterError
from cluster.ingest.acknowledge import HttpError
from cluster.jobs.registry import Registry
from cluster.jobs.work import Work
from cluster.storage.job_outputs import JobOutputs
from workers.archives.content import piece_of
from workers.http.answers import PooledStream, json_answer
from workers.http.archive import ZIP_TYPE, disposition
from workers.http.described import TEXT, explained, gives, takes
from workers.http.errors import Refusal
from workers.http.handlers import Handler, Routes, reading
from workers.http.job_views import import_view, job_view
from workers.http.parameters import flag
from workers.http.ranges import wanted_range
from workers.http.services import Services
from workers.http.writing import done, writing

_LOG = logging.getLogger(__name__)

INEXISTENT_ITEM = HttpError(404, 7, "Accessing an inexistent item")
ARCHIVE = "archive"
"""The only output that a job has."""


@takes({"expand": "Objects instead of ids."})
def list_jobs(services: Services, request: Request) -> Response:
    """Ids of all jobs that are not forgotten, or all of them in full."""
    services.require_ready()
    registry, imports = Registry(services.database), _imports(services)
    import_ids = [] if imports is None else imports.ids(services.settings.jobs_history_size)
    if not flag(request, "expand"):
        return json_answer([str(job_id) for job_id in [*registry.ids(), *import_ids]])
    found = (imports.get(job_id) for job_id in import_ids if imports is not None)
    return json_answer([*map(job_view, registry.all()), *(import_view(one) for one in found if one is not None)])


def get_job(services: Services, request: Request) -> Response:
    """One job."""
    services.require_ready()
    job_id = _id(request)
    if job_id is None:
        return _nothing()
    job = Registry(services.database).get(job_id)
    if job is not None:
        return json_answer(job_view(job))
    imports = _imports(services)
    found = None if imports is None else imports.get(job_id)
    return _nothing() if found is None else json_answer(import_view(found))


def _action(text: str, of_job: Callable[[Registry, UUID], bool], of_import: Callable[[Imports, UUID], bool]) -> Handler:
    """A route that does something to a job, or else to an import."""

    def act(services: Services, request: Request) -> Response:
        job_id = _id(request)
        if job_id is None:
            return _nothing()
        if of_job(Registry(services.database), job_id):
            services.waker.for_job()
            return json_answer({})
        imports = _imports(services)
        if imports is not None and of_import(imports, job_id):
            services.waker.for_import()
            return json_answer({})
        return _nothing()

    return explained(text)(writing(act))


def _unless_finished(act: Callable[[Imports, UUID], bool]) -> Callable[[Imports, UUID], bool]:
    """Orthanc has nothing against canceling or pausing what is finished: nothing happens."""
    return lambda imports, job_id: act(imports, job_id) or imports.get(job_id) is not None


@gives(TEXT)
def delete_job(services: Services, request: Request) -> Response:
    """Take a finished job, and what it made, out of the history."""
    job_id = _id(request)
    if job_id is not None and Registry(services.database).forget(job_id):
        _collect(services)
        return done()
    imports = _imports(services)
    if imports is not None and job_id is not None and imports.forget(job_id):
        return done()
    raise Refusal(INEXISTENT_ITEM, "no finished job has this id")


@gives("application/zip")
def get_output(services: Services, request: Request) -> Response:
    """What a job has made, or one range of it."""
    services.require_ready()
    job_id = _id(request)
    output = None
    if job_id is not None and request.path_params["key"] == ARCHIVE:
        output = Registry(services.database).use_output(job_id)
    if output is None:
        raise Refusal(INEXISTENT_ITEM, f"this job has no output '{request.path_params['key']}', yet or any more")
    headers = {**disposition(output.task["archive"]["file_name"]), "Accept-Ranges": "bytes"}
    status, start, stop = 200, 0, output.size
    wanted = wanted_range(request, output.size)
    if wanted is not None:
        status, (start, stop) = 206, wanted
        headers["Content-Range"] = f"bytes {start}-{stop - 1}/{output.size}"
    headers["Content-Length"] = str(stop - start)
    file = _outputs(services).open(output.name)
    pieces = piece_of(file, start, stop, f"the output of job {job_id}")
    try:
        return PooledStream.begun(
            services.reads, pieces, status=status, headers=headers, media_type=ZIP_TYPE, close=file.close
        )
    except BaseException:
        file.close()
        raise


def delete_output(services: Services, request: Request) -> Response:
    """Let go of what a job has made; the job stays in the history."""
    job_id = _id(request)
    is_known = job_id is not None and request.path_params["key"] == ARCHIVE
    if not is_known or job_id is None or not Registry(services.database).forget_output(job_id):
        raise Refusal(INEXISTENT_ITEM, f"this job has no output '{request.path_params['key']}', yet or any more")
    _collect(services)
    return done()


def _imports(services: Services) -> Imports | None:
    """Bulk imports, which are for several workers: an index in SQLite has none."""
    return Imports(services.database) if services.settings.postgresql.enable_index else None


def _outputs(services: Services) -> JobOutputs:
    return JobOutputs(services.settings.storage_directory, sync=services.settings.sync_storage_area)


def _collect(services: Services) -> None:
    """Remove files that no job has any more, now; if that fails, a worker's next sweep does."""
    try:
        _outputs(services).collect(Work(services.database).live_outputs)
    except ClusterError as error:
        _LOG.warning("outputs of jobs will be removed later: %s", error)


def _id(request: Request) -> UUID | None:
    """The id in the path; None for what no job can be called."""
    text: Any = request.path_params["id"]
    try:
        job_id = UUID(text)
    except ValueError:
        return None
    return job_id if str(job_id) == text else None


def _nothing() -> Response:
    return Response(status_code=404)


ROUTES: Routes = {
    "/jobs": {"GET": reading(list_jobs)},
    "/jobs/{id}": {"GET": reading(get_job), "DELETE": writing(delete_job)},
    "/jobs/{id}/cancel": {"POST": _action("Cancel a job.", Registry.cancel, _unless_finished(Imports.cancel))},
    "/jobs/{id}/pause": {"POST": _action("Pause a job.", Registry.pause, _unless_finished(Imports.pause))},
    "/jobs/{id}/resume": {"POST": _action("Go on with a paused job.", Registry.resume, Imports.resume)},
    "/jobs/{id}/resubmit": {"POST": _action("Do a failed or canceled job again.", Registry.resubmit, Imports.resubmit)},
    "/jobs/{id}/{key}": {"GET": reading(get_output), "DELETE": writing(delete_output)},
}
