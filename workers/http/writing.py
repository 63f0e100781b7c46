"""How a route that writes is answered: by a thread of its own pool, so that a long deletion keeps no reader waiting."""

from functools import update_wrapper

from starlette.requests import Request
from starlette.responses import Response

from workers.http.described import JSON, sent
from workers.http.handlers import (
    MAXIMUM_BODY_BYTES,
    BlockingHandler,
    BodyHandler,
    Handler,
    JsonHandler,
    parsing_json,
    with_body,
)
from workers.http.services import Services


def writing(handler: BlockingHandler) -> Handler:
    """A route without a body; 503 if the node is not ready."""

    async def in_thread(services: Services, request: Request) -> Response:
        services.require_ready()
        with services.writes.admit():
            return await services.writes.run(handler, services, request)

    update_wrapper(in_thread, handler)
    return in_thread


def writing_body(handler: BodyHandler, maximum: int = MAXIMUM_BODY_BYTES) -> Handler:
    """The same with a body, which is received first."""
    return with_body(lambda services: services.writes, handler, maximum)


def writing_json(handler: JsonHandler, maximum: int = MAXIMUM_BODY_BYTES) -> Handler:
    """The same with a body in JSON."""
    return sent(JSON)(writing_body(parsing_json(handler), maximum))


def done() -> Response:
    """The answer to an action that has nothing to tell."""
    return Response(b"", media_type="text/plain")
