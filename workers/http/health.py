"""The door of a process that serves nobody: probes and metrics, and nothing else."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, Router

from cluster.config.http import HttpSettings
from workers.http import probes
from workers.http.server import AsgiServer
from workers.http.threads import ThreadPool

_ROUTES: Mapping[str, probes.Probe] = {
    "/startupz": probes.startupz,
    "/livez": probes.livez,
    "/readyz": probes.readyz,
    "/metrics": probes.metrics,
}


@dataclass(frozen=True, slots=True)
class Health:
    """What probes ask a process."""

    readiness: Callable[[], str | None]
    """None if this process does its work, else why not; answers at once, from memory."""
    started: Callable[[], bool]
    """Whether it was ready once; likewise."""
    metrics: Callable[[], bytes]
    """All metrics in Prometheus' text format; may block."""
    scrapes: ThreadPool = field(default_factory=lambda: ThreadPool("scrape", 1, 8))


def health_server(settings: HttpSettings, health: Health) -> AsgiServer:
    """HttpPort with the four routes, which ask for no password.

    The port is not shared: a node on it would answer, or fail to answer, in place of this process.
    """
    return AsgiServer(_application(health), settings, on_close=health.scrapes.close, shared=False)


def _application(health: Health) -> Starlette:
    app = Starlette(routes=[_route(health, path, probe) for path, probe in _ROUTES.items()])
    assert isinstance(app.router, Router)
    app.router.redirect_slashes = False
    return app


def _route(health: Health, path: str, probe: probes.Probe) -> Route:
    async def endpoint(request: Request) -> Response:
        return await probe(health, request)

    return Route(path, endpoint, methods=["GET"])  # Starlette adds HEAD
