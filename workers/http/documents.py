"""GET /openapi.json and GET /docs: the API document, made from the routes themselves (OpenAPI 3.1.0)."""

import re
from collections.abc import Iterator, Mapping
from html import escape
from importlib.metadata import version
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from workers.http.answers import json_answer
from workers.http.authentication import OPEN_PATHS
from workers.http.described import BYTES, JSON, TEXT, Description, describe, gives
from workers.http.handlers import Handler, Routes, reading
from workers.http.services import Services

_IN_PATH = re.compile(r"\{(\w+)(?::\w+)?\}")
_METHODS = ("GET", "PUT", "POST", "DELETE")
_SCHEMAS: dict[str, dict[str, Any]] = {JSON: {}, TEXT: {"type": "string"}, BYTES: {}}
_ERROR: dict[str, Any] = {
    "type": "object",
    "required": ["HttpError", "HttpStatus", "Message", "Method", "OrthancError", "OrthancStatus", "Uri"],
    "properties": {
        "Details": {"type": "string", "description": "What is wrong, for the person who asked."},
        "HttpError": {"type": "string"},
        "HttpStatus": {"type": "integer"},
        "Message": {"type": "string"},
        "Method": {"type": "string"},
        "OrthancError": {"type": "string"},
        "OrthancStatus": {"type": "integer", "description": "Orthanc's own number of the error."},
        "RequestId": {"type": "string"},
        "Uri": {"type": "string"},
    },
}
_STYLE = (
    "body{font:15px/1.45 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}"
    "summary{cursor:pointer;padding:.2rem 0}code{background:#eee;padding:0 .25em}dl{margin:.3rem 0 .8rem 2rem}"
    "b{display:inline-block;width:4.5em}@media(prefers-color-scheme:dark){body{background:#111;color:#ddd}"
    "code{background:#333}}"
)


def document(routes: Routes, *, asks_for_password: bool) -> dict[str, Any]:
    """The OpenAPI document of a table of routes."""
    paths = {
        _IN_PATH.sub(r"{\1}", path): {
            method.lower(): _operation(path, method, describe(handlers[method]), asks_for_password)
            for method in _METHODS
            if method in handlers
        }
        for path, handlers in sorted(routes.items())
    }
    components: dict[str, Any] = {"schemas": {"Error": _ERROR}}
    if asks_for_password:
        components["securitySchemes"] = {"basic": {"type": "http", "scheme": "basic"}}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "orthanc-cluster",
            "version": version("orthanc-cluster"),
            "description": "Orthanc's REST API, as far as it is served, on an index with many writers.",
        },
        "paths": paths,
        "components": components,
    }


def routes_of_documents(routes: Routes) -> dict[str, dict[str, Handler]]:
    """The two routes, for a table that will hold them, too."""

    def get_openapi(services: Services, request: Request) -> Response:
        """This API as an OpenAPI document."""
        return json_answer(document(routes, asks_for_password=services.settings.http.authentication_enabled))

    @gives("text/html")
    def get_docs(services: Services, request: Request) -> Response:
        """This API as a page for people, without scripts."""
        shown = document(routes, asks_for_password=services.settings.http.authentication_enabled)
        policy = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'"}
        return Response("".join(_page(shown)), headers=policy, media_type="text/html")

    return {"/openapi.json": {"GET": reading(get_openapi)}, "/docs": {"GET": reading(get_docs)}}


def _operation(path: str, method: str, described: Description, asks_for_password: bool) -> dict[str, Any]:
    summary, _, rest = described.text.partition(". ")
    parameters: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in _IN_PATH.findall(path)
    ]
    parameters += [
        {"name": name, "in": "query", "description": text, "allowEmptyValue": True, "schema": {"type": "string"}}
        for name, text in described.parameters.items()
    ]
    named = _IN_PATH.sub(r"by_\1", path)
    error = {TEXT: {"schema": {"$ref": "#/components/schemas/Error"}}}
    operation: dict[str, Any] = {
        "operationId": re.sub(r"\W+", "_", f"{method.lower()}{named}"),
        "tags": [described.topic],
        "summary": summary.rstrip("."),
        "parameters": parameters,
        "responses": {
            "200": {"description": "Done.", "content": _content(described.answer)},
            "default": {"description": "Refused or failed; no body where nothing was found.", "content": error},
        },
    }
    if rest:
        operation["description"] = rest
    if described.body is not None:
        operation["requestBody"] = {"content": _content(described.body)}
    if asks_for_password and path not in OPEN_PATHS:
        operation["security"] = [{"basic": []}]
    return operation


def _content(media_types: str) -> dict[str, Any]:
    return {name: {"schema": _SCHEMAS.get(name, {})} for name in media_types.split(", ")}


def _page(shown: Mapping[str, Any]) -> Iterator[str]:
    title = escape(f"{shown['info']['title']} {shown['info']['version']}")
    yield f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title><style>{_STYLE}</style>'
    yield f"<h1>{title}</h1><p>{escape(shown['info']['description'])} <a href='openapi.json'>OpenAPI document</a></p>"
    by_topic: dict[str, list[str]] = {}
    for path, operations in shown["paths"].items():
        for method, operation in operations.items():
            by_topic.setdefault(operation["tags"][0], []).append(_section(path, method, operation))
    for topic, sections in sorted(by_topic.items()):
        yield f"<h2>{escape(topic)}</h2>{''.join(sections)}"


def _section(path: str, method: str, operation: Mapping[str, Any]) -> str:
    query = [parameter for parameter in operation["parameters"] if parameter["in"] == "query"]
    rows = "".join(f"<dt><code>{escape(p['name'])}</code></dt><dd>{escape(p['description'])}</dd>" for p in query)
    sent = ", ".join(operation.get("requestBody", {"content": {}})["content"])
    answered = ", ".join(operation["responses"]["200"]["content"])
    summary = f"<b>{method.upper()}</b> <code>{escape(path)}</code> {escape(operation['summary'])}"
    return (
        f"<details><summary>{summary}</summary><dl><dd>{escape(operation.get('description', ''))}</dd>{rows}"
        + (f"<dt>body</dt><dd>{escape(sent)}</dd>" if sent else "")
        + f"<dt>answer</dt><dd>{escape(answered)}</dd></dl></details>"
    )
