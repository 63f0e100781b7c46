"""Ids or expanded resources, as a request wants them (interop/rest.md 4)."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from starlette.requests import Request

from cluster.dicom.levels import Level
from cluster.dicom.main_tags import Tag
from cluster.dicom.tag_names import hexadecimal, parse_tag
from cluster.index.requested_tags import Known, requested_tags
from cluster.index.resources import Detail, Resource, resources_of
from workers.http.dicom_files import tags_of_attachment
from workers.http.errors import BAD_REQUEST, UNKNOWN_DICOM_TAG, Refusal
from workers.http.expanded import CONTENTS, USUAL_CONTENTS, TagFormat, expanded, tag_name, texts_as_json
from workers.http.parameters import flag
from workers.http.services import Services
from workers.http.tag_forms import short_form, simplified_form

RESOURCES_PER_PAGE = 500

FORMATS = {
    "full": "Tags by number, with name and type.",
    "short": "Tags by number.",
    "requested-tags": "More tags to show: names or `gggg,eeee`, separated by `;`.",
    "requestedTags": "The older spelling of it.",
    "response-content": "The parts to show, separated by `;`.",
}
"""Parameters that `wanted_by` understands."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """How resources are to be shown."""

    form: TagFormat = "keyword"
    requested: tuple[Tag, ...] = ()
    contents: frozenset[str] = USUAL_CONTENTS

    @property
    def detail(self) -> Detail:
        """What has to be read for it."""
        return Detail("Metadata" in self.contents, "Attachments" in self.contents)


def wanted_by(request: Request) -> Wanted:
    """From the query parameters; raises Refusal (400)."""
    parameters = request.query_params
    names = parameters.get("requested-tags", parameters.get("requestedTags", ""))
    contents = parameters.get("response-content")
    return Wanted(
        tag_format(flag(request, "full"), flag(request, "short")),
        tags_named(name for name in names.split(";") if name),
        USUAL_CONTENTS if contents is None else contents_named(contents.split(";")),
    )


def tag_format(is_full: bool, is_short: bool) -> TagFormat:
    """`full` goes before `short`."""
    return "full" if is_full else "short" if is_short else "keyword"


def tags_named(names: Iterable[str]) -> tuple[Tag, ...]:
    """Tags, each once; raises Refusal (400) for what is none."""
    return tuple(dict.fromkeys(tag_named(name) for name in names))


def tag_named(name: str) -> Tag:
    """A tag; raises Refusal (400) if there is none of that name."""
    tag = parse_tag(name.strip())
    if tag is None:
        raise Refusal(UNKNOWN_DICOM_TAG, f"unknown DICOM tag {name!r}")
    return tag


def contents_named(names: Iterable[str]) -> frozenset[str]:
    """What `response-content` asks for; raises Refusal (400)."""
    contents = frozenset(name for name in names if name)
    if not contents <= CONTENTS:
        raise Refusal(BAD_REQUEST, f"unknown response content: {', '.join(sorted(contents - CONTENTS))}")
    return contents


def shown(services: Services, level: Level, resources: Sequence[Resource], wanted: Wanted) -> list[dict[str, Any]]:
    """Resources of a level as JSON."""
    objects = [expanded(services.settings, resource, wanted.form, wanted.contents) for resource in resources]
    if wanted.requested and "RequestedTags" in wanted.contents:
        ids = [resource.public_id for resource in resources]
        known = requested_tags(services.database, level, ids, wanted.requested)
        for shown_object in objects:
            of_resource = known.get(shown_object["ID"], Known())
            shown_object["RequestedTags"] = _requested(services, of_resource, wanted.form)
    return objects


def shown_ids(services: Services, level: Level, public_ids: Sequence[str], wanted: Wanted) -> list[dict[str, Any]]:
    """The same for ids, in their order; without those that are gone."""
    return shown(services, level, resources_of(services.database, level, public_ids, wanted.detail), wanted)


def shown_pages(
    services: Services, level: Level, pages: Iterable[Sequence[str]], wanted: Wanted
) -> Iterator[list[dict[str, Any]]]:
    """The same for pages of any length."""
    for page in pages:
        ids = iter(page)
        while some := list(islice(ids, RESOURCES_PER_PAGE)):
            yield shown_ids(services, level, some, wanted)


def _requested(services: Services, known: Known, form: TagFormat) -> dict[str, Any]:
    texts, sequences = dict(known.texts), dict(known.sequences)
    if known.missing and known.file is not None:
        elements = tags_of_attachment(services, known.file)
        for tag in known.missing:
            element = elements.get(hexadecimal(tag), {})
            if element.get("Type") == "String":
                texts[tag] = element["Value"]
            elif element.get("Type") == "Sequence":
                sequences[tag] = element["Value"]
    return texts_as_json(texts, form) | {
        hexadecimal(tag) if form != "keyword" else tag_name(tag): _sequence(tag, items, form)
        for tag, items in sequences.items()
    }


def _sequence(tag: Tag, items: list[dict[str, Any]], form: TagFormat) -> Any:
    if form == "full":
        return {"Name": tag_name(tag), "Type": "Sequence", "Value": items}
    return [simplified_form(item) if form == "keyword" else short_form(item) for item in items]
