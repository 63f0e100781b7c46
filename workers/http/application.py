"""The table of routes."""

from collections.abc import Mapping

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route, Router
from starlette.types import ASGIApp

from cluster import tracing
from cluster.errors import ClusterError
from workers.http import (
    archive,
    attachments,
    authorization,
    changes,
    deletion,
    errors,
    exports,
    files,
    find,
    instance_tags,
    jobs,
    labels,
    metadata,
    probes,
    system,
    tools,
    tree,
)
from workers.http.authentication import Doorkeeper
from workers.http.compression import JsonCompression
from workers.http.documents import routes_of_documents
from workers.http.expanded import PATHS
from workers.http.handlers import Handler, Routes, reading
from workers.http.request_ids import RequestIds
from workers.http.resources import get_resource, list_resources
from workers.http.security_headers import SecurityHeaders
from workers.http.services import Services
from workers.http.traces import Traces, named
from workers.http.upload import post_instances

TOPICS: tuple[Routes, ...] = (
    archive.ROUTES,
    attachments.ROUTES,
    changes.ROUTES,
    deletion.ROUTES,
    exports.ROUTES,
    find.ROUTES,
    instance_tags.ROUTES,
    jobs.ROUTES,
    labels.ROUTES,
    metadata.ROUTES,
    tools.ROUTES,
    tree.ROUTES,
)
"""What each topic module adds; several may add methods to one path."""

METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS")


def route_table() -> dict[str, dict[str, Handler]]:
    """Every route: path → method → handler."""
    routes: dict[str, dict[str, Handler]] = {
        "/startupz": {"GET": probes.startupz, "HEAD": probes.startupz},
        "/livez": {"GET": probes.livez, "HEAD": probes.livez},
        "/readyz": {"GET": probes.readyz, "HEAD": probes.readyz},
        "/metrics": {"GET": probes.metrics},
        "/system": {"GET": reading(system.get_system)},
        "/statistics": {"GET": reading(system.get_statistics)},
        "/instances/{id}/file": {"GET": reading(files.get_file)},
    }
    for path in PATHS.values():
        routes[f"/{path}"] = {"GET": reading(list_resources)}
        routes[f"/{path}/{{id}}"] = {"GET": reading(get_resource)}
    routes["/instances"]["POST"] = post_instances
    for topic in TOPICS:
        for path, methods in topic.items():
            routes.setdefault(path, {}).update(methods)
    routes.update(routes_of_documents(routes))
    return routes


def application(services: Services) -> ASGIApp:
    """The ASGI application of one process."""
    http = services.settings.http
    read_only_users = services.settings.cluster.read_only_users
    middleware = [
        Middleware(SecurityHeaders),
        Middleware(Doorkeeper, settings=http, read_only_users=read_only_users),
    ]
    if http.compression_enabled:
        middleware.append(Middleware(JsonCompression))
    app = Starlette(
        routes=[_route(services, path, handlers) for path, handlers in route_table().items()],
        middleware=middleware,
        exception_handlers={
            errors.Refusal: errors.on_refusal,
            ClusterError: errors.on_cluster_error,
            ClientDisconnect: errors.on_disconnect,
            HTTPException: errors.on_http_exception,
            Exception: errors.on_unexpected,
        },
    )
    assert isinstance(app.router, Router)
    app.router.redirect_slashes = False
    return RequestIds(app if tracing.tracer is None else Traces(app, tracing.tracer))


def _route(services: Services, path: str, handlers: Mapping[str, Handler]) -> Route:
    async def endpoint(request: Request) -> Response:
        handler = handlers.get(request.method)
        if handler is None:
            return Response(status_code=405, headers={"Allow": ", ".join(handlers)})
        authorization.check(request, path)
        return await handler(services, request)

    return Route(path, endpoint if tracing.tracer is None else named(endpoint, path), methods=list(METHODS))
