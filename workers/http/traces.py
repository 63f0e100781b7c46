"""A span for each request, in the trace of whoever asked (W3C Trace Context), where this process traces.

It is the parent of what the threads of the request do, and ends with the last byte of the answer. Paths hold ids of
patients' resources, so a span names the route instead.
"""

from collections.abc import Awaitable, Callable
from http import HTTPStatus

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cluster.tracing import NOTHING, Tracer

Endpoint = Callable[[Request], Awaitable[Response]]

_SPAN = "orthanc_cluster.span"
_UNTRACED = frozenset({"/startupz", "/livez", "/readyz", "/metrics"})
"""Asked every few seconds, and answered from memory."""


class Traces:
    """ASGI middleware within `RequestIds`."""

    def __init__(self, app: ASGIApp, tracer: Tracer) -> None:
        self._app = app
        self._tracer = tracer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request (ASGI)."""
        if scope["path"] in _UNTRACED:
            await self._app(scope, receive, send)
            return
        attributes = {"http.request.method": scope["method"], "orthanc_cluster.request_id": scope["request_id"]}
        if scope["client"]:
            attributes["network.peer.address"] = scope["client"][0]
        with self._tracer.span("HTTP", attributes, kind="server", caller=Headers(scope=scope)) as span:

            async def with_status(message: Message) -> None:
                if message["type"] == "http.response.start":
                    span.set("http.response.status_code", message["status"])
                    if message["status"] >= HTTPStatus.INTERNAL_SERVER_ERROR:
                        span.fail(str(message["status"]))
                await send(message)

            await self._app({**scope, _SPAN: span}, receive, with_status)


def named(endpoint: Endpoint, path: str) -> Endpoint:
    """The same endpoint; names the span after its route."""

    async def with_name(request: Request) -> Response:
        span = request.scope.get(_SPAN, NOTHING)  # of probes there is none
        span.rename(f"{request.method} {path}")
        span.set("http.route", path)
        return await endpoint(request)

    return with_name
