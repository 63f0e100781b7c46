"""What was measured, sample by sample, and what is made of it: medians, and ratios of neighbours in time."""

import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rich.table import Table


@dataclass(frozen=True, slots=True)
class Case:
    """A load: so many clients, which send instances of that size, related as `corpus.MIXES` tells.

    Attributes:
        no_delay: TCP_NODELAY on both sides, otherwise the defaults of both.
    """

    clients: int
    size: str
    mix: str = "distinct"
    no_delay: bool = True

    def __str__(self) -> str:
        clients = f"{self.clients} client{'s' if self.clients > 1 else ''}"
        return ", ".join((clients, self.size, self.mix, *(() if self.no_delay else ("Nagle",))))


@dataclass(frozen=True, slots=True)
class Sample:
    """One load on one system.

    Attributes:
        system: its name with versions.
        round: samples of the same round and case ran one after the other.
        rate: instances a second that were acknowledged.
        failures: instances that were not.
        unstored: acknowledged instances that the index does not have.
        cpu: milliseconds for an instance, by part of the system.
        load_average: of the machine in the minute before.
    """

    case: Case
    system: str
    is_ours: bool
    round: int
    instances: int
    rate: float
    failures: int
    unstored: int
    p50_milliseconds: float
    p99_milliseconds: float
    cpu: dict[str, float]
    load_average: float

    @property
    def cpu_milliseconds(self) -> float:
        """Of all parts together, for one instance."""
        return sum(self.cpu.values())

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


class Samples:
    """All samples of a benchmark."""

    def __init__(self, samples: Sequence[Sample]) -> None:
        self._samples = samples

    @property
    def cases(self) -> list[Case]:
        return list(dict.fromkeys(sample.case for sample in self._samples))

    @property
    def ours(self) -> str:
        return next(sample.system for sample in self._samples if sample.is_ours)

    @property
    def others(self) -> list[str]:
        return list(dict.fromkeys(sample.system for sample in self._samples if not sample.is_ours))

    @property
    def has_ours(self) -> bool:
        return any(sample.is_ours for sample in self._samples)

    def of(self, case: Case, system: str) -> list[Sample]:
        """In the order of their rounds."""
        return [sample for sample in self._samples if sample.case == case and sample.system == system]

    def median(self, case: Case, system: str, value: Callable[[Sample], float]) -> float:
        return statistics.median(value(sample) for sample in self.of(case, system))

    def rate(self, case: Case, system: str) -> float:
        """Instances a second, the median of all rounds."""
        return self.median(case, system, lambda sample: sample.rate)

    def ratio(self, case: Case, other: str) -> float:
        """Our rate by the other's: the median of the ratios of each round."""
        pairs = zip(self.of(case, self.ours), self.of(case, other), strict=True)
        return statistics.median(ours.rate / theirs.rate for ours, theirs in pairs)

    def failed(self, system: str) -> tuple[int, int]:
        """How many instances of all cases failed, and how many were acknowledged and not stored."""
        own = [sample for sample in self._samples if sample.system == system]
        return sum(sample.failures for sample in own), sum(sample.unstored for sample in own)

    def table(self, title: str) -> Table:
        """Medians of all cases and systems."""
        rows = Table(*("load", "system", "instances/s", "ours by it", "p50 ms", "p99 ms", "CPU ms"), title=title)
        for case in self.cases:
            for system in (*((self.ours,) if self.has_ours else ()), *self.others):
                rows.add_row(*self._row(case, system))
            rows.add_section()
        return rows

    def medians(self) -> list[dict[str, Any]]:
        """The same for programs."""
        systems = [*((self.ours,) if self.has_ours else ()), *self.others]
        return [
            {
                **asdict(case),
                "system": system,
                "rate": self.rate(case, system),
                "ratio": self.ratio(case, system) if self.has_ours and system != self.ours else None,
                "p50_milliseconds": self.median(case, system, lambda sample: sample.p50_milliseconds),
                "p99_milliseconds": self.median(case, system, lambda sample: sample.p99_milliseconds),
                "cpu_milliseconds": {
                    part: self.median(case, system, lambda sample, part=part: sample.cpu[part])
                    for part in self.of(case, system)[0].cpu
                },
            }
            for case in self.cases
            for system in systems
        ]

    def as_json(self) -> list[dict[str, Any]]:
        return [sample.as_json() for sample in self._samples]

    def _row(self, case: Case, system: str) -> Iterable[str]:
        yield str(case)
        yield system
        rates = [sample.rate for sample in self.of(case, system)]
        yield f"{statistics.median(rates):,.0f} ({min(rates):,.0f} to {max(rates):,.0f})"
        yield f"{self.ratio(case, system):.2f}" if self.has_ours and system != self.ours else ""
        yield f"{self.median(case, system, lambda sample: sample.p50_milliseconds):.1f}"
        yield f"{self.median(case, system, lambda sample: sample.p99_milliseconds):.1f}"
        yield f"{self.median(case, system, lambda sample: sample.cpu_milliseconds):.2f}"


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest value that is not exceeded by that share; 0 of none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))] if ordered else 0.0
