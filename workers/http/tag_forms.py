"""The forms in which the tags of a file are shown (interop/rest.md 4, `GET /instances/{id}/tags`)."""

from typing import Any

from starlette.requests import Request

from workers.http.parameters import flag

FORMS = {"simplify": "Values by name.", "short": "Values by number."}
"""Parameters that `formatted` understands."""


def formatted(elements: dict[str, Any], request: Request) -> dict[str, Any]:
    """As the flags `simplify` and `short` say; with everything about each tag by default."""
    if flag(request, "simplify"):
        return simplified_form(elements)
    return short_form(elements) if flag(request, "short") else elements


def simplified_form(elements: dict[str, Any]) -> dict[str, Any]:
    """{name: value}; null for what cannot be shown."""
    return {element["Name"]: _value(element, simplified_form) for element in elements.values()}


def short_form(elements: dict[str, Any]) -> dict[str, Any]:
    """{`gggg,eeee`: value}; null for what cannot be shown."""
    return {number: _value(element, short_form) for number, element in elements.items()}


def _value(element: dict[str, Any], form: Any) -> Any:
    if element["Type"] == "Sequence":
        return [form(item) for item in element["Value"]]
    return element["Value"]
