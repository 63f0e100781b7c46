"""Which bytes of a file a request wants (RFC 9110 section 14)."""

import re

from starlette.requests import Request

from workers.http.errors import BAD_RANGE, Refusal

_RANGE = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})")


def wanted_range(request: Request, size: int) -> tuple[int, int] | None:
    """First byte and the one behind the last; None for all of them.

    Raises:
        Refusal: 416, no such bytes.
    """
    match = _RANGE.fullmatch(request.headers.get("range", "").replace(" ", ""))
    # Several ranges, or units we do not know, may be ignored; so may all where If-Range asks for a comparison.
    if match is None or match.groups() == ("", "") or "if-range" in request.headers:
        return None
    first, last = match.groups()
    start = int(first) if first else max(size - int(last), 0)
    stop = min(int(last) + 1, size) if first and last else size
    if start >= size or start >= stop:
        raise Refusal(BAD_RANGE, f"no such bytes: the file has {size}")
    return start, stop
