"""What is above and below a resource, and how much of it there is (interop/rest.md 4)."""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from cluster.dicom.levels import Level
from cluster.index.find import find
from cluster.index.search import Search
from cluster.index.tree import ancestor, exists, statistics_below
from workers.http.answers import PooledStream, json_answer, json_array
from workers.http.described import takes
from workers.http.expanded import LEVELS, PATHS, TYPES
from workers.http.expansion import FORMATS, shown_ids, shown_pages, wanted_by
from workers.http.handlers import Routes, reading
from workers.http.levels import level_of
from workers.http.parameters import flag
from workers.http.services import Services


@takes({"expand": "`false`: ids instead of objects."}, FORMATS)
def get_children(services: Services, request: Request) -> Response:
    """Resources of a level below another: expanded ones, unless `expand` is false."""
    services.require_ready()
    level, wanted_level = _levels(request)
    public_id = request.path_params["id"]
    if not exists(services.database, level, public_id):
        return Response(status_code=404)
    found = find(services.database, Search(wanted_level, ancestors={level: public_id}))
    if "expand" in request.query_params and not flag(request, "expand"):
        return PooledStream.begun(services.reads, json_array(found))
    wanted = wanted_by(request)
    return PooledStream.begun(services.reads, json_array(shown_pages(services, wanted_level, found, wanted)))


@takes(FORMATS)
def get_parent(services: Services, request: Request) -> Response:
    """The resource of a level above another, expanded."""
    services.require_ready()
    level, wanted_level = _levels(request)
    wanted = wanted_by(request)
    above = ancestor(services.database, level, request.path_params["id"], wanted_level)
    objects = [] if above is None else shown_ids(services, wanted_level, [above], wanted)
    return json_answer(objects[0]) if objects else Response(status_code=404)


def get_statistics(services: Services, request: Request) -> Response:
    """Sizes of what is stored of a resource, and how many resources are below it."""
    services.require_ready()
    level = level_of(request)
    found = statistics_below(services.database, level, request.path_params["id"])
    if found is None:
        return Response(status_code=404)
    answer: dict[str, Any] = {}
    numbers = {Level.STUDY: found.studies, Level.SERIES: found.series, Level.INSTANCE: found.instances}
    for below, number in numbers.items():
        if below > level:
            answer[f"Count{PATHS[below].title()}"] = number
    for name, size in (
        ("DiskSize", found.compressed_size),
        ("UncompressedSize", found.size),
        ("DicomDiskSize", found.dicom_compressed_size),
        ("DicomUncompressedSize", found.dicom_size),
    ):
        answer |= {name: str(size), f"{name}MB": size // (1 << 20)}
    return json_answer(answer)


def _levels(request: Request) -> tuple[Level, Level]:
    """Of the resource that is named, and of those that are asked for."""
    _, path, *_, wanted = request.url.path.split("/")
    return LEVELS[path], _WANTED[wanted]


_WANTED = LEVELS | {TYPES[level].lower(): level for level in Level}

ROUTES: Routes = (
    {f"/{PATHS[level]}/{{id}}/statistics": {"GET": reading(get_statistics)} for level in Level}
    | {
        f"/{PATHS[level]}/{{id}}/{PATHS[below]}": {"GET": reading(get_children)}
        for level in Level
        for below in Level
        if below > level
    }
    | {
        f"/{PATHS[level]}/{{id}}/{TYPES[above].lower()}": {"GET": reading(get_parent)}
        for level in Level
        for above in Level
        if above < level
    }
)
