"""Where spans go, if anywhere: what is timed on this side, OpenTelemetry on the other (`workers/spans.py`).

Traces are off unless `use` was called in this process. Off, `tracer` is None: where each instance passes, that is all
that is looked at, nothing is called and nothing of OpenTelemetry is imported. Spans hang on the places at which the
metrics are taken, and have their names.

Attributes name no patient: no value of a data set, no public id or UID, no path, no text of an error (which may quote
any of them), only its class.
"""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Literal, Protocol, Self

Value = str | int | float | bool
Kind = Literal["internal", "server", "consumer"]
Point = Any
"""A span as another thread can be told of it; None where there is none that is recorded."""

_NOBODY: Mapping[str, str] = {}


class Span(Protocol):
    """What lasts as long as the block that it was made for."""

    def set(self, name: str, value: Value) -> None:
        """Say something of it that was not known at its beginning."""

    def rename(self, name: str) -> None:
        """Say better what it is."""

    def fail(self, kind: str) -> None:
        """It did not succeed; `kind` has few values."""

    @property
    def point(self) -> Point:
        """For links to it."""


class Tracer(Protocol):
    """Makes spans; thread-safe. The span of a block is the parent of those that this context makes within it."""

    def span(
        self,
        name: str,
        attributes: Mapping[str, Value] | None = None,
        *,
        kind: Kind = "internal",
        caller: Mapping[str, str] | None = None,
    ) -> AbstractContextManager[Span]:
        """A span for a block; an exception that leaves it makes it a failed one.

        Args:
            caller: headers of whoever asked for this, with its context (W3C traceparent) or without one.
        """

    def together(
        self, name: str, points: Sequence[Point], attributes: Mapping[str, Value]
    ) -> AbstractContextManager[Span]:
        """What is done at once for several spans: part of the first of them that is recorded, linked with all."""

    def past(
        self,
        name: str,
        started: float,
        ended: float,
        attributes: Mapping[str, Value] | None = None,
        links: Sequence[Point] = (),
    ) -> None:
        """A part of this context's span that is over; times are those of `time.monotonic`. Nothing without a span."""

    def note(self, name: str, value: Value) -> None:
        """Say something of this context's span."""

    def point(self) -> Point:
        """This context's span, for other threads."""

    def headers(self) -> Mapping[str, str]:
        """This context's span, for other processes: headers of a message."""

    def close(self) -> None:
        """Send what is left, for a bounded time."""


tracer: Tracer | None = None
"""That of this process."""


def use(new: Tracer | None) -> None:
    """Switch traces on, or off; to be called after fork."""
    global tracer
    tracer = new


def span(
    name: str,
    attributes: Mapping[str, Value] | None = None,
    *,
    kind: Kind = "internal",
    caller: Mapping[str, str] | None = None,
) -> AbstractContextManager[Span]:
    """As `Tracer.span` where traces are on; for what happens less often than instances come."""
    return NOTHING if tracer is None else tracer.span(name, attributes, kind=kind, caller=caller)


def headers() -> Mapping[str, str]:
    """As `Tracer.headers`; empty where traces are off."""
    return _NOBODY if tracer is None else tracer.headers()


class _Nothing(AbstractContextManager["_Nothing"]):
    """A span where there is none; may be entered any number of times at once."""

    point: Point = None

    def set(self, name: str, value: Value) -> None:
        """Nobody is told."""

    def rename(self, name: str) -> None:
        """Nobody is told."""

    def fail(self, kind: str) -> None:
        """Nobody is told."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass


NOTHING = _Nothing()
