"""What a request for an archive asks for (interop/rest.md 1, "Synchronous and asynchronous POSTs", and 6)."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from starlette.requests import Request

from cluster.jobs.registry import MAXIMUM_PRIORITY, MINIMUM_PRIORITY
from workers.archives.kinds import Wanted
from workers.http.errors import BAD_REQUEST, NOT_IMPLEMENTED, Refusal
from workers.http.parameters import flag, refuse_unserved

Kind = Literal["Archive", "Media"]

OPTIONS = {
    "filename": "Name to offer.",
    "extended": "Of media: more in the DICOMDIR.",
    "transcode": "Not served (501).",
    "lossy-quality": "Not served (501).",
}
"""Parameters of the query."""

_UNSERVED = ("transcode", "lossy-quality")
_UNSERVED_FIELDS = ("Transcode", "LossyQuality", "Utf8")
_UNSAFE_IN_NAME = re.compile(r"[^ !#-\[\]-~]")
_MAXIMUM_NAME = 255


@dataclass(frozen=True, slots=True)
class Order:
    """An archive, and whether somebody waits for it."""

    wanted: Wanted
    is_asynchronous: bool = False
    priority: int = 0
    user_data: Any = None


def order_of_query(request: Request, kind: Kind, resources: Sequence[str], name: str, *, extended: bool) -> Order:
    """Of a GET, which is always synchronous."""
    refuse_unserved(request, _UNSERVED)
    name = request.query_params.get("filename", "") or name
    extended = extended or flag(request, "extended")
    return Order(Wanted(kind, tuple(resources), safe_name(name), extended))


def order_of_body(body: Any, kind: Kind, resources: Sequence[str] | None, name: str, *, extended: bool) -> Order:
    """Of a POST.

    Args:
        resources: None if the body names them, as an array of ids or in `Resources`.
    """
    options: Mapping[str, Any] = {"Resources": body} if isinstance(body, list) and resources is None else body
    if not isinstance(options, dict):
        raise Refusal(BAD_REQUEST, "the body must be a JSON object")
    for field in _UNSERVED_FIELDS:
        if options.get(field):
            raise Refusal(NOT_IMPLEMENTED, f"the field '{field}' is not served by this version")
    file_name = options.get("Filename", "")
    if not isinstance(file_name, str):
        raise Refusal(BAD_REQUEST, "'Filename' must be text")
    return Order(
        Wanted(
            kind,
            tuple(_ids(options.get("Resources")) if resources is None else resources),
            safe_name(file_name or name),
            _boolean(options, "Extended", extended),
        ),
        is_asynchronous(options),
        _priority(options),
        options.get("UserData"),
    )


def is_asynchronous(options: Mapping[str, Any]) -> bool:
    """`Synchronous` decides if it is there, then `Asynchronous`; else somebody waits. Raises Refusal (400)."""
    asynchronous = _boolean(options, "Asynchronous", False)
    return not _boolean(options, "Synchronous", not asynchronous)


def safe_name(name: str) -> str:
    """A name of a file that cannot break out of a header."""
    return _UNSAFE_IN_NAME.sub("_", name)[:_MAXIMUM_NAME]


def _boolean(options: Mapping[str, Any], name: str, default: bool) -> bool:
    value = options.get(name, default)
    if not isinstance(value, bool):
        raise Refusal(BAD_REQUEST, f"'{name}' is true or false")
    return value


def _priority(options: Mapping[str, Any]) -> int:
    priority = options.get("Priority", 0)
    if type(priority) is not int or not MINIMUM_PRIORITY <= priority <= MAXIMUM_PRIORITY:
        raise Refusal(BAD_REQUEST, "'Priority' must be a whole number of 32 bits")
    return priority


def _ids(ids: Any) -> list[str]:
    if not isinstance(ids, list) or not all(isinstance(public_id, str) for public_id in ids):
        raise Refusal(BAD_REQUEST, "'Resources' must be an array of ids")
    if any("\0" in public_id or not public_id.isascii() for public_id in ids):
        raise Refusal(BAD_REQUEST, "'Resources' has what is no id")
    return ids
