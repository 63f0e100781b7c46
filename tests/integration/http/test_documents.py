"""The API document: every route is in it and described, it is valid OpenAPI, and the page shows it."""

import re
from pathlib import Path

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

import workers.http
from tests.integration.http.conftest import Door, OpenDoor
from workers.http.application import METHODS, route_table
from workers.http.described import describe
from workers.http.documents import document

ROUTES = route_table()
SOURCES = [path.read_text("utf-8") for path in Path(workers.http.__file__).parent.glob("*.py")]
READ = re.compile(
    r'flag\(request, "([\w-]+)"\)|query_params\.get\(\s*"([\w-]+)"|query_params\["([\w-]+)"\]'
    r'|"([\w-]+)" (?:not )?in request.query_params|parameters\.get\("([\w-]+)"'
)


@pytest.mark.parametrize("path", sorted(ROUTES))
def test_every_route_is_described(path: str) -> None:
    for method, handler in ROUTES[path].items():
        assert method in METHODS
        described = describe(handler)
        assert described.text.endswith("."), f"{method} {path}: the handler {described.name} needs a docstring"
        assert not described.text.startswith("partial("), f"{method} {path}"
        if method in ("PUT", "POST") and described.body is None:
            # Nothing is read there.
            assert re.search(r"/(cancel|pause|resume|resubmit|reset|(un)?compress|verify-md5)$", path), path


def test_parameters_that_are_read_are_described() -> None:
    read = {name for source in SOURCES for groups in READ.findall(source) for name in groups if name}
    described = {
        name for handlers in ROUTES.values() for handler in handlers.values() for name in describe(handler).parameters
    }
    assert len(read) > 10
    assert read <= described
    # A name that nobody reads would be a promise.
    assert all(any(f'"{name}"' in source for source in SOURCES) for name in described)


@pytest.mark.parametrize("asks_for_password", [True, False])
def test_it_is_valid(asks_for_password: bool) -> None:
    made = document(ROUTES, asks_for_password=asks_for_password)
    OpenAPIV31SpecValidator(made).validate()
    operations = [operation for methods in made["paths"].values() for operation in methods.values()]
    assert len({operation["operationId"] for operation in operations}) == len(operations)
    assert len(operations) == sum(len(set(handlers) - {"HEAD"}) for handlers in ROUTES.values())
    assert any("security" in operation for operation in operations) == asks_for_password
    assert "security" not in made["paths"]["/livez"]["get"]
    broken = made | {"paths": {"/x": {"get": {"responses": {"200": {}}}}}}
    assert not OpenAPIV31SpecValidator(broken).is_valid()


def test_the_document_is_served(door: Door) -> None:
    answer = door.client.get("/openapi.json")
    assert answer.headers["content-type"].startswith("application/json")
    assert answer.json() == document(ROUTES, asks_for_password=False)
    changes = answer.json()["paths"]["/changes"]["get"]
    assert {parameter["name"] for parameter in changes["parameters"]} >= {"since", "wait"}
    assert set(changes["responses"]["200"]["content"]) == {"application/json", "text/event-stream"}


def test_the_page_needs_nothing_else(door: Door) -> None:
    answer = door.client.get("/docs")
    assert answer.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    page = answer.text
    assert not re.search(r"<script|src=|https?://|@import|url\(", page)
    for path, handlers in ROUTES.items():
        for method in set(handlers) - {"HEAD"}:
            shown = re.sub(r":\w+\}", "}", path)
            assert f"<b>{method}</b> <code>{shown}</code>" in page


def test_it_is_for_those_who_may_enter(open_door: OpenDoor) -> None:
    door = open_door(AuthenticationEnabled=True, RegisteredUsers={"jane": "secret"})
    for path in ("/docs", "/openapi.json"):
        assert door.client.get(path).status_code == 401
        assert door.client.get(path, auth=("jane", "secret")).status_code == 200
