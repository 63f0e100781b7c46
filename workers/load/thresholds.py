"""What is good enough: limits that decide about the exit status, beside "nothing lost, nothing doubled"."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any, Self

from cluster.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class Thresholds:
    """None: does not matter. Names in files and on the command line have dashes in place of underscores."""

    p50_milliseconds: float | None = None
    """At most."""
    p95_milliseconds: float | None = None
    """At most."""
    p99_milliseconds: float | None = None
    """At most."""
    instances_per_second: float | None = None
    """At least."""
    retries: float | None = None
    """At most."""

    @classmethod
    def read(cls, document: Any) -> Self:
        """From `{p99-milliseconds: 500}`. Raises ConfigurationError."""
        if not isinstance(document, Mapping):
            raise ConfigurationError("thresholds", "is not {p99-milliseconds: …}")
        known = {each.name.replace("_", "-"): each.name for each in fields(cls)}
        values = {}
        for name, value in document.items():
            if name not in known:
                raise ConfigurationError(f"thresholds.{name}", f"is unknown; known are {', '.join(known)}")
            if not isinstance(value, int | float) or isinstance(value, bool):
                raise ConfigurationError(f"thresholds.{name}", f"must be a number, not {value!r}")
            values[known[name]] = float(value)
        return cls(**values)

    def missed(
        self, latency_milliseconds: Mapping[str, float | None], instances_per_second: float, retries: int
    ) -> Iterator[str]:
        """Sentences, one for each that was not kept."""
        for name in ("p50", "p95", "p99"):
            limit, found = getattr(self, f"{name}_milliseconds"), latency_milliseconds.get(name)
            if limit is not None and (found is None or found > limit):
                yield f"{name} of the latency is {found} ms, at most {limit:g} ms are allowed"
        if self.instances_per_second is not None and instances_per_second < self.instances_per_second:
            yield f"{instances_per_second:.1f} instances/s, at least {self.instances_per_second:g} are wanted"
        if self.retries is not None and retries > self.retries:
            yield f"{retries} attempts beyond the first, at most {self.retries:g} are allowed"
