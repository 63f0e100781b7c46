"""How even answers are: C-STORE at half of the maximum rate."""

import random
import statistics
from collections.abc import Callable, Sequence

from benchmarks.delays.paced import paced
from benchmarks.figures import Part
from benchmarks.ingest.corpus import corpus
from benchmarks.ingest.ours import our_cluster
from benchmarks.ingest.samples import percentile
from benchmarks.loading import NotStored, load
from workers.local.postgresql import LocalPostgreSQL

_WANTED_SPREAD = 5.0
_KEPT = 0.95

Tell = Callable[[str], None]


def half_load(
    server: LocalPostgreSQL, senders: int, instances_each: int, rounds: int, seconds: float, tell: Tell
) -> Part:
    """Measure, in each round first the maximum by dcmsend, then for so many seconds half of it. Raises NotStored."""
    part = Part(sizes={"senders": senders, "seconds": seconds, "rounds": rounds})
    found: list[tuple[float, float, float]] = []
    with (
        our_cluster(server) as ours,
        corpus(senders=senders, instances_each=instances_each, size="30 KB") as files,
    ):
        load(ours, files)
        for number in range(1, rounds + 1):
            tell(f"round {number} of {rounds}: the maximum")
            maximum = load(ours, files).rate
            tell(f"round {number} of {rounds}: half of {maximum:,.0f} a second")
            seed = random.randrange(10**9)
            half = paced(ours.dicom, senders=senders, rate=maximum / 2, seconds=seconds, seed=seed)
            if half.failures:
                raise NotStored(f"{half.failures} of {half.instances} refused")
            kept = half.rate / (maximum / 2)
            found.append((kept, percentile(half.latencies, 50), percentile(half.latencies, 99)))
            part.details[f"round {number}"] = {
                "maximum_per_second": round(maximum),
                "kept": round(kept, 3),
                "milliseconds": _quantiles(half.latencies),
                "milliseconds_since_due": _quantiles(half.since_due),
            }
    _judge(part, found)
    return part


def _judge(part: Part, found: Sequence[tuple[float, float, float]]) -> None:
    kept, p50, p99 = (statistics.median(column) for column in zip(*found, strict=True))
    part.add("half of the maximum rate was kept", f">= {_KEPT:.0%}", f"{kept:.0%}", kept >= _KEPT, is_speed=True)
    part.add(
        "p99 of C-STORE at half of the maximum against p50",
        f"<= {_WANTED_SPREAD:.0f} times",
        f"{p99 / p50:.1f} times: {1000 * p99:.1f} ms of {1000 * p50:.1f} ms",
        p99 <= _WANTED_SPREAD * p50,
        is_speed=True,
    )


def _quantiles(values: Sequence[float]) -> dict[str, float]:
    return {f"p{percent}": round(1000 * percentile(values, percent), 2) for percent in (50, 90, 99, 99.9)}
