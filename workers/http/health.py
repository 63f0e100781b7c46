"""The door of a process that serves nobody: probes and metrics, and nothing else."""

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, Router

from cluster.config import Settings
from workers.http import probes
from workers.http.server import AsgiServer
from workers.http.threads import ThreadPool
from workers.tls import http_server_context

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


def health_server(settings: Settings, health: Health) -> AsgiServer:
    """HttpPort with the four routes, which ask for no password.

    The port is not shared: a node on it would answer, or fail to answer, in place of this process.
    """
    tls = functools.partial(http_server_context, settings.http)
    return AsgiServer(_application(health), settings.http, on_close=health.scrapes.close, shared=False, tls=tls)


def probe_server(settings: Settings, health: Health, *, shared: bool = False) -> AsgiServer:
    """The same on Cluster.ProbePort and never over TLS: kubelets have no certificate to show where peers need one."""
    http = settings.http.model_copy(update={"port": settings.cluster.probe_port})
    return AsgiServer(_application(health), http, on_close=health.scrapes.close, shared=shared)


def _application(health: Health) -> Starlette:
    app = Starlette(routes=[_route(health, path, probe) for path, probe in _ROUTES.items()])
    assert isinstance(app.router, Router)
    app.router.redirect_slashes = False
    return app


def _route(health: Health, path: str, probe: probes.Probe) -> Route:
    async def endpoint(request: Request) -> Response:
        return await probe(health, request)

    return Route(path, endpoint, methods=["GET"])  # Starlette adds HEAD
