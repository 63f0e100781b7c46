"""A line through what was measured at small sizes, and what it says of large ones.

Bytes of tables and indexes and seconds of back-fills grow with the rows; what one more instance costs grows with the
height of B-trees, that is with the logarithm.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from benchmarks.growth.measure import Sample


@dataclass(frozen=True, slots=True)
class Line:
    """``value = at_zero + slope · x``."""

    at_zero: float
    slope: float

    def __call__(self, x: float) -> float:
        return self.at_zero + self.slope * x


def through(points: Sequence[tuple[float, float]]) -> Line:
    """The line of the least squares; through one point: proportional."""
    if len(points) == 1:
        ((x, y),) = points
        return Line(0.0, y / x)
    mean_x = sum(x for x, _ in points) / len(points)
    mean_y = sum(y for _, y in points) / len(points)
    spread = sum((x - mean_x) ** 2 for x, _ in points)
    slope = sum((x - mean_x) * (y - mean_y) for x, y in points) / spread
    return Line(mean_y - slope * mean_x, slope)


@dataclass(frozen=True, slots=True)
class Prediction:
    """For one size; the units are those of `Sample`."""

    instances: float
    index_bytes: float
    largest: str
    """The largest table or index."""
    largest_bytes: float
    fill_seconds: float
    upgrade_seconds: float
    wal_bytes: float
    postgresql_milliseconds: float
    random_bytes: float = 0.0
    """Of the indexes into which each instance goes at a place of its own."""


RANDOM_INDEXES = (
    "uniquepublicid",
    "publicindex",
    "dicomidentifiersindexvalues",
    "dicomidentifiersindexvalues2",
    "dicomidentifiersindex3",
)
"""Ordered by public ids or by values; all others grow at their end."""


@dataclass(frozen=True, slots=True)
class Host:
    """A database server that is assumed, not measured; rates a second."""

    cores: int = 8
    memory_gigabytes: int = 32
    wal_megabytes: int = 200
    random_reads: int = 10_000
    flush_milliseconds: float = 1.0


BUSY = 0.7
"""Of a core, what may be busy on average where senders are not to wait."""
_CACHE = 0.75
"""Of the memory, what is there to hold pages."""
_BATCH = 16
"""Instances of a batch where there are many senders; it may have 64."""


def limits(said: Prediction, host: Host) -> dict[str, float]:
    """At how many instances a second each part of that host has nothing left."""
    missing = max(0.0, 1 - _CACHE * host.memory_gigabytes * 1e9 / said.random_bytes) if said.random_bytes else 0.0
    reads = missing * len(RANDOM_INDEXES)
    return {
        "processor": 1000 * host.cores * BUSY / said.postgresql_milliseconds,
        # The change numbers' lock is held through the flush: one batch after the other, whatever nodes there are.
        "flushes": 1000 * _BATCH / host.flush_milliseconds,
        "WAL device": 1e6 * host.wal_megabytes / said.wal_bytes,
        "memory": host.random_reads / reads if reads else math.inf,
    }


class Model:
    """Made of samples at small sizes."""

    def __init__(self, samples: Sequence[Sample]) -> None:
        self._names = sorted(samples[0].bytes_of)
        self._bytes = {
            name: through([(each.instances, each.bytes_of[name]) for each in samples]) for name in self._names
        }
        self._fill = self._over(samples, lambda each: each.fill_seconds)
        self._upgrade = self._over(samples, lambda each: each.upgrade_seconds)
        self._wal = self._over_height(samples, lambda each: each.wal_bytes)
        self._cpu = self._over_height(samples, lambda each: each.postgresql_milliseconds)

    def at(self, instances: float) -> Prediction:
        """What an archive of this size costs."""
        sizes = {name: max(0.0, line(instances)) for name, line in self._bytes.items()}
        largest = max(sizes, key=sizes.__getitem__)
        height = math.log2(instances)
        return Prediction(
            instances,
            sum(sizes.values()),
            largest,
            sizes[largest],
            self._fill(instances),
            self._upgrade(instances),
            self._wal(height),
            self._cpu(height),
            sum(sizes.get(name, 0.0) for name in RANDOM_INDEXES),
        )

    @staticmethod
    def _over(samples: Sequence[Sample], value: Callable[[Sample], float]) -> Line:
        return through([(each.instances, value(each)) for each in samples])

    @staticmethod
    def _over_height(samples: Sequence[Sample], value: Callable[[Sample], float]) -> Line:
        return through([(math.log2(each.instances), value(each)) for each in samples])
