"""Query parameters (interop/rest.md 1, 4)."""

import re
from collections.abc import Iterable

from starlette.requests import Request

from workers.http.errors import BAD_REQUEST, NOT_IMPLEMENTED, PARAMETER_OUT_OF_RANGE, Refusal

WINDOW = {
    "since": "How many to leave out; together with `limit`.",
    "limit": "How many at most; 0 is no limit.",
}

_NUMBER = re.compile(r"[0-9]{1,18}")


def flag(request: Request, name: str) -> bool:
    """Whether a flag such as `expand` is set: present, and neither ``false`` nor ``0``."""
    return name in request.query_params and request.query_params[name] not in ("false", "0")


def window(request: Request) -> tuple[int, int | None]:
    """`since` and `limit` of a list, which come together or not at all; a limit of 0 is none.

    Raises:
        Refusal: 400, one without the other, or no number.
    """
    given = [name for name in ("since", "limit") if name in request.query_params]
    if not given:
        return 0, None
    if len(given) == 1:
        raise Refusal(BAD_REQUEST, f"'{given[0]}' is given alone; 'since' and 'limit' belong together")
    since, limit = (_number(request, name) for name in given)
    return since, limit or None


def refuse_unserved(request: Request, names: Iterable[str]) -> None:
    """Raise Refusal (501) if a parameter is given that Orthanc knows and this version does not.

    Going on without it would answer another question than the one that was asked.
    """
    for name in names:
        if name in request.query_params:
            raise Refusal(NOT_IMPLEMENTED, f"the parameter '{name}' is not served by this version")


def _number(request: Request, name: str) -> int:
    text = request.query_params[name]
    if not _NUMBER.fullmatch(text):
        raise Refusal(PARAMETER_OUT_OF_RANGE, f"'{name}' must be a number, not {text!r}")
    return int(text)
