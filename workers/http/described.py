"""What the API document says of a route stands at its handler: the docstring, and what these decorators add."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])

JSON = "application/json"
TEXT = "text/plain"
BYTES = "application/octet-stream"


@dataclass(frozen=True, slots=True)
class Description:
    """What is known of one method of one path."""

    name: str
    topic: str
    text: str
    """Empty if nobody has described it."""
    parameters: Mapping[str, str]
    """Of the query, each with its meaning."""
    body: str | None
    """Media type of what is sent, if anything."""
    answer: str
    """Media type of what a success is answered with."""


def takes(*parameters: Mapping[str, str]) -> Callable[[F], F]:
    """The parameters of the query."""
    return _with("described_parameters", {name: text for some in parameters for name, text in some.items()})


def sent(media_type: str) -> Callable[[F], F]:
    """What the body is."""
    return _with("described_body", media_type)


def gives(media_type: str) -> Callable[[F], F]:
    """What the answer is, if not JSON."""
    return _with("described_answer", media_type)


def explained(text: str) -> Callable[[F], F]:
    """What a docstring would say, for a handler that is made by a function."""
    return _with("described_text", text)


def describe(handler: Callable[..., Any]) -> Description:
    """What stands at a handler, and at what it wraps."""
    layers = list(_layers(handler))
    innermost = layers[-1]

    def found(name: str, default: Any) -> Any:
        return next((getattr(layer, name) for layer in layers if hasattr(layer, name)), default)

    return Description(
        name=innermost.__name__.strip("_"),
        topic=innermost.__module__.rpartition(".")[2].replace("_", " "),
        text=" ".join(found("described_text", innermost.__doc__ or "").split()),
        parameters=found("described_parameters", {}),
        body=found("described_body", None),
        answer=found("described_answer", JSON),
    )


def _with(name: str, value: object) -> Callable[[F], F]:
    def add(handler: F) -> F:
        setattr(handler, name, value)
        return handler

    return add


def _layers(handler: Callable[..., Any]) -> list[Callable[..., Any]]:
    layers = [handler]
    while True:
        last = layers[-1]
        inner = last.func if isinstance(last, partial) else getattr(last, "__wrapped__", None)
        if inner is None:
            return layers
        layers.append(inner)
