"""GET /startupz, /livez, /readyz and /metrics, for kubelets, load balancers and Prometheus."""

from collections.abc import Awaitable, Callable
from typing import Protocol

from prometheus_client import CONTENT_TYPE_LATEST
from starlette.requests import Request
from starlette.responses import Response

from workers.http.answers import json_answer
from workers.http.described import TEXT, gives
from workers.http.threads import ThreadPool


class Probed(Protocol):
    """What probes ask a process, whatever it is."""

    @property
    def readiness(self) -> Callable[[], str | None]: ...
    @property
    def started(self) -> Callable[[], bool]: ...
    @property
    def metrics(self) -> Callable[[], bytes]: ...
    @property
    def scrapes(self) -> ThreadPool: ...


Probe = Callable[[Probed, Request], Awaitable[Response]]


async def livez(services: Probed, request: Request) -> Response:
    """This process turns its event loop. Touches nothing: an outage elsewhere must not get a node killed."""
    return json_answer({"alive": True})


async def startupz(services: Probed, request: Request) -> Response:
    """Whether start-up is over: this node was ready once, whatever it is now."""
    started = services.started()
    return json_answer({"started": started, "reason": services.readiness()}, status=200 if started else 503)


async def readyz(services: Probed, request: Request) -> Response:
    """Whether this node can take instances."""
    reason = services.readiness()
    if reason is None:
        return json_answer({"ready": True})
    return json_answer({"ready": False, "reason": reason}, status=503)


@gives(TEXT)
async def metrics(services: Probed, request: Request) -> Response:
    """All metrics in Prometheus' text format."""
    with services.scrapes.admit():
        return Response(await services.scrapes.run(services.metrics), headers={"Content-Type": CONTENT_TYPE_LATEST})
