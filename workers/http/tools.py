"""Small questions below /tools (interop/rest.md 2, 4, 11)."""

import time
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from cluster.dicom.levels import Level
from cluster.index.changes import changes_until
from cluster.index.resources import Detail, resources_of
from cluster.index.statistics import read_statistics
from workers.http.answers import PooledStream, json_answer, json_array
from workers.http.described import TEXT, gives
from workers.http.errors import BAD_REQUEST, FORBIDDEN, Refusal
from workers.http.expanded import expanded, named_metadata
from workers.http.expansion import RESOURCES_PER_PAGE, tag_format
from workers.http.handlers import Routes, reading, reading_json
from workers.http.queries import level_named
from workers.http.services import Services
from workers.job_states import states_of_jobs
from workers.upper_layer.syntaxes import SopClasses

_STARTED = time.monotonic()
_TIME = "%Y%m%dT%H%M%S"


@gives(TEXT)
def get_now(services: Services, request: Request) -> Response:
    """UTC."""
    return Response(time.strftime(_TIME, time.gmtime()), media_type="text/plain")


@gives(TEXT)
def get_now_local(services: Services, request: Request) -> Response:
    """In the time zone of this process."""
    return Response(time.strftime(_TIME, time.localtime()), media_type="text/plain")


@gives(TEXT)
def get_metrics(services: Services, request: Request) -> Response:
    """What Orthanc's own metrics say of the archive, under its names; what our nodes do is at /metrics."""
    services.require_ready()
    totals = read_statistics(services.database)
    values = {
        "orthanc_count_instances": totals.instances,
        "orthanc_count_patients": totals.patients,
        "orthanc_count_series": totals.series,
        "orthanc_count_studies": totals.studies,
        "orthanc_disk_size_mb": totals.compressed_size / (1 << 20),
        **_jobs(services),
        "orthanc_last_change": changes_until(services.database, 1).last,
        "orthanc_uncompressed_size_mb": totals.uncompressed_size / (1 << 20),
        "orthanc_up_time_s": int(time.monotonic() - _STARTED),
    }
    now = int(time.time() * 1000)
    lines = [f"{name} {value} {now}\n" for name, value in values.items()]
    return Response("".join(lines), media_type="text/plain")


def _jobs(services: Services) -> dict[str, int]:
    """Of the whole cluster, imports included: those that ``/jobs`` lists, as Orthanc counts them."""
    settings = services.settings
    counts = states_of_jobs(services.database, settings.jobs_history_size if settings.postgresql.enable_index else None)
    success, failed = counts["Success"], counts["Failure"]
    ended = {"completed": success + failed, "success": success, "failed": failed}
    return {
        "orthanc_jobs_pending": counts["Pending"] + counts["Retry"],
        "orthanc_jobs_running": counts["Running"] + counts["Paused"],
        # Since Orthanc 1.13.0, and before.
        **{f"orthanc_jobs_total_{name}": number for name, number in ended.items()},
        **{f"orthanc_jobs_{name}": number for name, number in ended.items()},
    }


@gives(TEXT)
def get_dicom_conformance(services: Services, request: Request) -> Response:
    """What this node serves over DICOM, for people."""
    dicom = services.settings.dicom
    accepted = SopClasses(dicom.accepted_sop_classes, dicom.rejected_sop_classes, unknown=False)
    lines = [
        "DICOM conformance statement of orthanc-cluster",
        "",
        f"AE title: {dicom.aet}",
        "Verification SOP class (1.2.840.10008.1.1): SCP",
        "Transfer syntaxes of storage: " + ", ".join(dicom.accepted_transfer_syntaxes),
        "",
        "Storage SOP classes: SCP",
        *(f"  {uid}" for uid in accepted.known()),
        "",
    ]
    return Response("\n".join(lines), media_type="text/plain")


def post_reset(services: Services, request: Request) -> Response:
    """Let this node drain, read its configuration again and begin anew; only where Cluster.AllowReset says so."""
    if not services.settings.cluster.allow_reset:
        raise Refusal(FORBIDDEN, "this node is not to be reset over HTTP: Cluster.AllowReset is false")
    services.reset()
    return json_answer({})


def post_bulk_content(services: Services, request: Request, body: Any) -> Response:
    """Expanded resources by id, of one level or of any, in the order of the ids; unknown ids are left out."""
    if not isinstance(body, dict) or not isinstance(body.get("Resources"), list):
        raise Refusal(BAD_REQUEST, "the body must be an object with an array 'Resources'")
    ids = body["Resources"]
    if not all(isinstance(public_id, str) and public_id.isascii() and "\0" not in public_id for public_id in ids):
        raise Refusal(BAD_REQUEST, "'Resources' must be an array of ids")
    flags = {name: body.get(name, default) for name, default in (("Metadata", True), ("Full", False), ("Short", False))}
    if not all(isinstance(value, bool) for value in flags.values()):
        raise Refusal(BAD_REQUEST, "'Metadata', 'Full' and 'Short' are true or false")
    levels = [level_named(body["Level"])] if "Level" in body else list(Level)
    pages = (ids[start : start + RESOURCES_PER_PAGE] for start in range(0, len(ids), RESOURCES_PER_PAGE))
    return PooledStream.begun(services.reads, json_array(_contents(services, page, levels, flags) for page in pages))


def _contents(services: Services, ids: list[str], levels: list[Level], flags: dict[str, bool]) -> list[dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for level in levels:
        for resource in resources_of(services.database, level, ids, Detail(all_metadata=flags["Metadata"])):
            shown = expanded(services.settings, resource, tag_format(flags["Full"], flags["Short"]))
            if flags["Metadata"]:
                shown["Metadata"] = named_metadata(services.settings, resource)
            found[resource.public_id] = shown
    return [found[public_id] for public_id in ids if public_id in found]


ROUTES: Routes = {
    "/tools/now": {"GET": reading(get_now)},
    "/tools/now-local": {"GET": reading(get_now_local)},
    "/tools/dicom-conformance": {"GET": reading(get_dicom_conformance)},
    "/tools/metrics-prometheus": {"GET": reading(get_metrics)},
    "/tools/reset": {"POST": reading(post_reset)},
    "/tools/bulk-content": {"POST": reading_json(post_bulk_content)},
}
