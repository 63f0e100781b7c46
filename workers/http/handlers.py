"""How a route is answered: by a thread of the pool for reads, with or without a JSON body read before.

Topic modules export `ROUTES`, which `application.py` merges.
"""

import json
from collections.abc import Awaitable, Callable, Mapping
from functools import update_wrapper
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from workers.http.body import RequestBody
from workers.http.described import BYTES, JSON, sent
from workers.http.errors import BAD_JSON, TOO_LARGE, Refusal
from workers.http.services import Services
from workers.http.threads import ThreadPool

Handler = Callable[[Services, Request], Awaitable[Response]]
BlockingHandler = Callable[[Services, Request], Response]
BodyHandler = Callable[[Services, Request, bytes], Response]
JsonHandler = Callable[[Services, Request, Any], Response]
Routes = Mapping[str, Mapping[str, Handler]]
"""Path → method → handler."""

MAXIMUM_BODY_BYTES = 4 * 1024 * 1024
"""Of a body that is held in memory: a question, not an instance."""


def reading(handler: BlockingHandler) -> Handler:
    """Answered by a thread of the pool for reads."""

    async def in_thread(services: Services, request: Request) -> Response:
        with services.reads.admit():
            return await services.reads.run(handler, services, request)

    update_wrapper(in_thread, handler)
    return in_thread


def reading_body(handler: BodyHandler, maximum: int = MAXIMUM_BODY_BYTES) -> Handler:
    """The same for a route with a body, which is received first; 503 before that if the node is not ready."""
    return with_body(lambda services: services.reads, handler, maximum)


def with_body(pool: Callable[[Services], ThreadPool], handler: BodyHandler, maximum: int) -> Handler:
    """Answered by a thread of `pool` once the body is here; 503 before that if the node is not ready."""

    async def in_thread(services: Services, request: Request) -> Response:
        services.require_ready()
        with pool(services).admit():
            body = await whole_body(request, maximum)
            return await pool(services).run(handler, services, request, body)

    update_wrapper(in_thread, handler)
    return sent(BYTES)(in_thread)


def reading_json(handler: JsonHandler, maximum: int = MAXIMUM_BODY_BYTES) -> Handler:
    """The same for a body in JSON."""
    return sent(JSON)(reading_body(parsing_json(handler), maximum))


def parsing_json(handler: JsonHandler) -> BodyHandler:
    """A handler of the bytes of a JSON body."""

    def parse(services: Services, request: Request, body: bytes) -> Response:
        return handler(services, request, json_of(body))

    update_wrapper(parse, handler)
    return parse


async def whole_body(request: Request, maximum: int) -> bytes:
    """The body of a request; raises Refusal (413) as soon as it is longer than `maximum`, unread if it says so."""
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > maximum:
        raise Refusal(TOO_LARGE, f"a body of at most {maximum} bytes is expected here")
    received = RequestBody(request.receive)
    parts: list[bytes] = []
    size = 0
    while part := await received.next_piece():
        parts.append(part)
        size += len(part)
        if size > maximum:
            raise Refusal(TOO_LARGE, f"a body of at most {maximum} bytes is expected here")
    return b"".join(parts)


def json_of(body: bytes) -> Any:
    """The value of a JSON body; raises Refusal (400)."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise Refusal(BAD_JSON, "the body is not JSON") from None
