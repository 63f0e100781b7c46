"""Tags that are read from DICOM files: of one instance, of a module, or of all together (interop/rest.md 4)."""

import re
from collections.abc import Iterator
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from cluster.dicom.levels import Level
from cluster.dicom.main_tags import Tag
from cluster.dicom.modules import MODULES
from cluster.dicom.open_file import DicomFile, Span
from cluster.dicom.tag_names import hexadecimal
from cluster.index.attachments import dicom_attachment
from cluster.index.tree import files_below
from cluster.storage.zlib_form import PIECE_BYTES
from workers.http.answers import PooledStream, json_answer, orthanc_json
from workers.http.described import BYTES, JSON, gives, takes
from workers.http.dicom_files import open_dicom, tags_of_attachment
from workers.http.errors import UNKNOWN_RESOURCE, Refusal
from workers.http.expanded import PATHS
from workers.http.expansion import tags_named
from workers.http.handlers import Routes, reading
from workers.http.levels import level_of
from workers.http.services import Services
from workers.http.tag_forms import FORMS, formatted, simplified_form

_SEPARATORS = re.compile("[;,]")

IGNORE_LENGTH = {"ignore-length": "Tags `gggg-eeee` whose value is shown however long it is."}


@takes(FORMS, IGNORE_LENGTH)
def get_tags(services: Services, request: Request) -> Response:
    """All tags of an instance, in the form that is asked for."""
    services.require_ready()
    attachment = dicom_attachment(services.database, request.path_params["id"])
    return json_answer(formatted(tags_of_attachment(services, attachment, _ignore_length(request)), request))


@takes(IGNORE_LENGTH)
def get_simplified_tags(services: Services, request: Request) -> Response:
    """All tags of an instance by name."""
    services.require_ready()
    attachment = dicom_attachment(services.database, request.path_params["id"])
    return json_answer(simplified_form(tags_of_attachment(services, attachment, _ignore_length(request))))


@takes(FORMS)
def get_header(services: Services, request: Request) -> Response:
    """The file meta information of an instance."""
    services.require_ready()
    with open_dicom(services, dicom_attachment(services.database, request.path_params["id"])) as file:
        return json_answer(formatted(file.header(), request))


@gives(f"{JSON}, {BYTES}")
def get_content(services: Services, request: Request) -> Response:
    """What is at a path of tags and item numbers: a list of names, or the bytes of a value."""
    services.require_ready()
    path = [name for name in request.path_params.get("path", "").split("/") if name]
    file = open_dicom(services, dicom_attachment(services.database, request.path_params["id"]))
    try:
        found = file.content(path)
        if isinstance(found, list):
            file.close()
            return json_answer(found)
        return PooledStream.begun(
            services.reads,
            _bytes_of(file, found),
            headers={"Content-Length": str(found.length)},
            media_type="application/octet-stream",
            close=file.close,
        )
    except BaseException:
        file.close()
        raise


@takes(FORMS, IGNORE_LENGTH)
def get_module(services: Services, request: Request) -> Response:
    """Tags of the DICOM module of a resource's level, from one of its instances."""
    return _module(services, request, level_of(request))


@takes(FORMS, IGNORE_LENGTH)
def get_patient_module(services: Services, request: Request) -> Response:
    """The same of the study's patient."""
    return _module(services, request, Level.PATIENT)


@takes(FORMS, IGNORE_LENGTH)
def get_shared_tags(services: Services, request: Request) -> Response:
    """Texts that are the same in all instances, whose files are all read. No sequences, and nothing binary."""
    services.require_ready()
    shared: dict[str, Any] | None = None
    for _, attachment in files_below(services.database, level_of(request), request.path_params["id"]):
        elements = tags_of_attachment(services, attachment)
        if shared is None:
            shared = {number: element for number, element in elements.items() if element["Type"] == "String"}
        shared = {number: element for number, element in shared.items() if elements.get(number) == element}
    return json_answer(formatted(shared or {}, request))


@takes(FORMS, IGNORE_LENGTH)
def get_instances_tags(services: Services, request: Request) -> Response:
    """{instance: tags}, one file at a time."""
    services.require_ready()
    return PooledStream.begun(services.reads, _instances_tags(services, request))


def _module(services: Services, request: Request, module: Level) -> Response:
    services.require_ready()
    wanted = {hexadecimal(tag) for tag in MODULES[module]}
    for _, attachment in files_below(services.database, level_of(request), request.path_params["id"], limit=1):
        elements = tags_of_attachment(services, attachment, _ignore_length(request))
        of_module = {number: element for number, element in elements.items() if number in wanted}
        return json_answer(formatted(of_module, request))
    raise Refusal(UNKNOWN_RESOURCE, "the resource has no instance any more")


def _instances_tags(services: Services, request: Request) -> Iterator[bytes]:
    before = b"{"
    for instance, attachment in files_below(services.database, level_of(request), request.path_params["id"]):
        elements = formatted(tags_of_attachment(services, attachment, _ignore_length(request)), request)
        text = orthanc_json({instance: elements})  # "{", one indented member, "}"
        yield before + text[1 : text.rindex("\n")].encode()
        before = b","
    yield b"{}\n" if before == b"{" else b"\n}\n"


def _bytes_of(file: DicomFile, span: Span) -> Iterator[bytes]:
    file.stream.seek(span.offset)
    left = span.length
    while left > 0 and (piece := file.stream.read(min(PIECE_BYTES, left))):
        left -= len(piece)
        yield piece


def _ignore_length(request: Request) -> tuple[Tag, ...]:
    """Tags of the parameter `ignore-length`, in which a tag is written with a hyphen."""
    return tags_named(name for name in _SEPARATORS.split(request.query_params.get("ignore-length", "")) if name)


ROUTES: Routes = {
    "/instances/{id}/tags": {"GET": reading(get_tags)},
    "/instances/{id}/simplified-tags": {"GET": reading(get_simplified_tags)},
    "/instances/{id}/header": {"GET": reading(get_header)},
    "/instances/{id}/content": {"GET": reading(get_content)},
    "/instances/{id}/content/{path:path}": {"GET": reading(get_content)},
    "/studies/{id}/module-patient": {"GET": reading(get_patient_module)},
    **{f"/{PATHS[level]}/{{id}}/module": {"GET": reading(get_module)} for level in Level},
    **{f"/{PATHS[level]}/{{id}}/shared-tags": {"GET": reading(get_shared_tags)} for level in list(Level)[:3]},
    **{f"/{PATHS[level]}/{{id}}/instances-tags": {"GET": reading(get_instances_tags)} for level in list(Level)[:3]},
}
