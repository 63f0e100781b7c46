"""The body of /tools/find and /tools/count-resources, understood (interop/rest.md 8).

Fields that are not known are ignored, as Orthanc does; those that are have to be of the right type, and every text has
to be one that the index could hold.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeVar, get_args

from cluster.config import Settings
from cluster.dicom.levels import Level
from cluster.index.conditions import is_in_index
from cluster.index.constraints import metadata_constraint, tag_constraint
from cluster.index.metadata_names import metadata_type
from cluster.index.search import LabelsConstraint, OrderKey, Search, TagConstraint
from workers.http import levels
from workers.http.errors import BAD_REQUEST, PARAMETER_OUT_OF_RANGE, Refusal
from workers.http.expanded import TYPES, USUAL_CONTENTS
from workers.http.expansion import Wanted, contents_named, tag_format, tag_named, tags_named

T = TypeVar("T")

MAXIMUM_TEXT_LENGTH = 16 * 1024
"""Of one text. Values in the index have 256 bytes; what is longer is a list, or no honest question."""

MAXIMUM_NUMBER = 2**63 - 1

_PARENTS = {"ParentPatient": Level.PATIENT, "ParentStudy": Level.STUDY, "ParentSeries": Level.SERIES}
_READINGS: dict[str, Literal["text", "integer", "float"]] = {"": "text", "AsInt": "integer", "AsFloat": "float"}
_ORDERS = {f"{subject}{suffix}": (subject, suffix) for subject in ("DicomTag", "Metadata") for suffix in _READINGS}


@dataclass(frozen=True, slots=True)
class Query:
    """What is looked for, which part of it, and how it is shown."""

    search: Search
    since: int
    limit: int | None
    is_case_sensitive: bool
    is_expanded: bool
    wanted: Wanted


def query_of(settings: Settings, body: Any) -> Query:
    """Understand a body; `settings` know the names of users' metadata.

    Raises:
        Refusal: 400, and what is wrong.
        UnusableQuery: it asks for what cannot be searched for.
    """
    if not isinstance(body, dict):
        raise Refusal(BAD_REQUEST, "the body must be a JSON object")
    is_case_sensitive = _field(body, "CaseSensitive", bool, False)
    contents = body.get("ResponseContent")
    return Query(
        search=_search(settings, body, is_case_sensitive),
        since=_number(body, "Since"),
        limit=_number(body, "Limit") or None,
        is_case_sensitive=is_case_sensitive,
        is_expanded=_field(body, "Expand", bool, False) or contents is not None,
        wanted=Wanted(
            tag_format(_field(body, "Full", bool, False), _field(body, "Short", bool, False)),
            tags_named(_texts(body, "RequestedTags")),
            USUAL_CONTENTS if contents is None else contents_named(_texts(body, "ResponseContent")),
        ),
    )


def _search(settings: Settings, body: Mapping[str, Any], is_case_sensitive: bool) -> Search:
    level = _level(body)
    if "Query" not in body:
        raise Refusal(BAD_REQUEST, "the field 'Query' is missing")
    tags: list[TagConstraint] = []
    for name, text in _pairs(body, "Query"):
        tag = tag_named(name)
        constraint = tag_constraint(tag, text, is_case_sensitive)
        if constraint is not None:
            tags.append((tag, constraint))
    metadata = []
    for name, text in _pairs(body, "MetadataQuery"):
        wanted = metadata_constraint(text, is_case_sensitive)
        if wanted is not None:
            metadata.append((_metadata(settings, name), wanted))
    in_index = [is_in_index(tag, level) for tag, _ in tags]
    return Search(
        level,
        indexed_tags=[pair for pair, is_there in zip(tags, in_index, strict=True) if is_there],
        file_tags=[pair for pair, is_there in zip(tags, in_index, strict=True) if not is_there],
        metadata=metadata,
        labels=_texts(body, "Labels"),
        labels_constraint=_labels_constraint(body),
        ancestors=_ancestors(body, level),
        order=_order(settings, body),
    )


def _level(body: Mapping[str, Any]) -> Level:
    if "Level" not in body:
        raise Refusal(BAD_REQUEST, "the field 'Level' is missing")
    return level_named(body["Level"])


def level_named(name: Any) -> Level:
    """The level of a name in singular or plural, in any case; raises Refusal (400)."""
    level = levels.level_named(name)
    if level is None:
        raise Refusal(PARAMETER_OUT_OF_RANGE, f"'Level' must be one of {', '.join(TYPES.values())}")
    return level


def _ancestors(body: Mapping[str, Any], level: Level) -> dict[Level, str]:
    ancestors = {other: _text(body, name) for name, other in _PARENTS.items() if body.get(name) is not None}
    for other in ancestors:
        if other > level:
            raise Refusal(BAD_REQUEST, f"no {TYPES[level].lower()} is below a {TYPES[other].lower()}")
    return ancestors


def _labels_constraint(body: Mapping[str, Any]) -> LabelsConstraint:
    name = _field(body, "LabelsConstraint", str, "All")
    known: LabelsConstraint
    for known in get_args(LabelsConstraint):
        if name == known:
            return known
    raise Refusal(PARAMETER_OUT_OF_RANGE, "'LabelsConstraint' must be 'All', 'Any' or 'None'")


def _order(settings: Settings, body: Mapping[str, Any]) -> list[OrderKey]:
    keys = []
    for item in _field(body, "OrderBy", list, []):
        if not isinstance(item, dict):
            raise Refusal(BAD_REQUEST, "'OrderBy' must be an array of objects")
        kind, name, direction = (_text(item, field) for field in ("Type", "Key", "Direction"))
        if kind not in _ORDERS:
            raise Refusal(PARAMETER_OUT_OF_RANGE, f"unknown type of order {kind!r}")
        subject, suffix = _ORDERS[kind]
        if direction not in ("ASC", "DESC"):
            raise Refusal(PARAMETER_OUT_OF_RANGE, "'Direction' must be 'ASC' or 'DESC'")
        key = tag_named(name) if subject == "DicomTag" else _metadata(settings, name)
        keys.append(OrderKey(key, _READINGS[suffix], direction == "DESC"))
    return keys


def _metadata(settings: Settings, name: str) -> int:
    kind = settings.user_metadata.get(name) or metadata_type(name)
    if kind is None:
        raise Refusal(PARAMETER_OUT_OF_RANGE, f"unknown metadata {name!r}")
    return kind


def _pairs(body: Mapping[str, Any], name: str) -> list[tuple[str, str]]:
    fields = _field(body, name, dict, {})
    return [(key, _text(fields, key)) for key in fields]


def _texts(body: Mapping[str, Any], name: str) -> list[str]:
    return [_checked(name, text) for text in _field(body, name, list, [])]


def _text(body: Mapping[str, Any], name: str) -> str:
    return _checked(name, body.get(name))


def _checked(name: str, text: Any) -> str:
    if not isinstance(text, str):
        raise Refusal(BAD_REQUEST, f"{name!r} must be text")
    if len(text) > MAXIMUM_TEXT_LENGTH:
        raise Refusal(BAD_REQUEST, f"{name!r} is longer than {MAXIMUM_TEXT_LENGTH} characters")
    if "\0" in text or any("\ud800" <= character <= "\udfff" for character in text):
        raise Refusal(BAD_REQUEST, f"{name!r} has characters that no value can have")
    return text


def _number(body: Mapping[str, Any], name: str) -> int:
    number = _field(body, name, int, 0)
    if isinstance(number, bool) or not 0 <= number <= MAXIMUM_NUMBER:
        raise Refusal(PARAMETER_OUT_OF_RANGE, f"{name!r} must be a number from 0 on")
    return number


def _field(body: Mapping[str, Any], name: str, kind: type[T], default: T) -> T:
    value = body.get(name, default)
    if not isinstance(value, kind):
        raise Refusal(BAD_REQUEST, f"{name!r} is of the wrong type")
    return value
