"""GET /changes (interop/rest.md 7)."""

import re
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from cluster.index.changes import ChangePage, changes_since, changes_until, clear_changes
from workers.http.answers import json_answer
from workers.http.change_json import CHANGE_TYPES, change_as_json
from workers.http.change_stream import EVENT_STREAM, event_stream, wait_for_page
from workers.http.described import JSON, TEXT, gives, takes
from workers.http.errors import PARAMETER_OUT_OF_RANGE, Refusal
from workers.http.handlers import Routes, reading
from workers.http.parameters import flag
from workers.http.services import Services
from workers.http.writing import done, writing

DEFAULT_LIMIT = 100

MAXIMUM_LIMIT = 20_000
"""A larger limit is cut to this, and `Done` is false: a process must not hold the whole log."""

MAXIMUM_WAIT_SECONDS = 60
"""More is cut to this, as load balancers close what is silent for longer; the answer is an empty page then."""

_SECONDS = re.compile(r"[0-9]{1,18}", re.ASCII)
_NUMBER = re.compile(r"[+-]?[0-9]{1,18}")


@takes(
    {
        "since": "Number of the last change that is known; the header Last-Event-ID says so, too.",
        "to": "Number of the last change of interest.",
        "limit": "How many at most (100).",
        "last": "Only the last change.",
        "type": "Types of interest, separated by `;`.",
        "wait": "Seconds to wait for the first change behind `since` (ours).",
    }
)
@gives(f"{JSON}, {EVENT_STREAM}")
async def get_changes(services: Services, request: Request) -> Response:
    """A page of the log; with `wait`, not before there is something behind `since`; or a stream of events."""
    if EVENT_STREAM in request.headers.get("accept", ""):
        return await event_stream(services, request, _window(request)[0] or 0, _types(request))
    seconds = _wait_seconds(request)
    since, to, limit = _window(request)
    if seconds > 0 and to is None and not flag(request, "last"):
        page = await wait_for_page(services, request, since or 0, limit, _types(request), seconds)
        return json_answer(_answer(page))
    return await reading(read_changes)(services, request)


def read_changes(services: Services, request: Request) -> Response:
    """A page of the log, or its end."""
    services.require_ready()
    if flag(request, "last"):
        page = changes_until(services.database, 1)
        return json_answer(_answer(ChangePage(page.changes, True, page.last)))
    since, to, limit = _window(request)
    types = _types(request)
    if to is not None and since is None:
        page = changes_until(services.database, limit, to=to, types=types)
    else:
        page = changes_since(services.database, since or 0, limit, to=to, types=types)
    return json_answer(_answer(page))


@gives(TEXT)
def delete_changes(services: Services, request: Request) -> Response:
    """Empty the log; `Last` stays, so who follows goes on. What has to become stable still does."""
    clear_changes(services.database)
    return done()


def _window(request: Request) -> tuple[int | None, int | None, int]:
    """`since`, `to` and `limit`; as Orthanc does, all three are forgotten if one of them is no number.

    A limit of 0 means the default: an empty page with the last number of all would make a reader skip everything.
    """
    texts = {name: request.query_params[name] for name in ("since", "to", "limit") if name in request.query_params}
    if not all(_NUMBER.fullmatch(text) for text in texts.values()) or int(texts.get("limit", 0)) < 0:
        return None, None, DEFAULT_LIMIT
    since, to = (int(texts[name]) if name in texts else None for name in ("since", "to"))
    return since, to, min(int(texts.get("limit", 0)) or DEFAULT_LIMIT, MAXIMUM_LIMIT)


def _wait_seconds(request: Request) -> int:
    text = request.query_params.get("wait", "0")
    if not _SECONDS.fullmatch(text):
        raise Refusal(PARAMETER_OUT_OF_RANGE, f"'wait' must be a number of seconds, not {text!r}")
    return min(int(text), MAXIMUM_WAIT_SECONDS)


def _types(request: Request) -> list[int] | None:
    if "type" not in request.query_params:
        return None
    names = [name for name in request.query_params["type"].split(";") if name]
    for name in names:
        if name not in CHANGE_TYPES:
            raise Refusal(PARAMETER_OUT_OF_RANGE, f"unknown change type {name!r}")
    return [CHANGE_TYPES[name] for name in names] or None


def _answer(page: ChangePage) -> dict[str, Any]:
    answer: dict[str, Any] = {
        "Changes": [change_as_json(change) for change in page.changes],
        "Done": page.done,
        "Last": page.last,
    }
    if page.changes:
        answer["First"] = page.changes[0].seq
    return answer


ROUTES: Routes = {"/changes": {"GET": get_changes, "DELETE": writing(delete_changes)}}
