"""What distance to the database costs: the same load through a proxy that adds round trips of several lengths."""

import statistics
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import psycopg

from benchmarks.delays.proxy import DelayProxy
from benchmarks.figures import Part
from benchmarks.ingest import published
from benchmarks.ingest.corpus import Corpus, corpus
from benchmarks.ingest.orthanc import OrthancFiles, orthanc
from benchmarks.ingest.ours import our_cluster
from benchmarks.ingest.system import System
from benchmarks.loading import load
from workers.local.postgresql import LocalPostgreSQL

OURS_MILLISECONDS = (0, 1, 5, 20)
ORTHANC_EACH = {0: 60, 1: 30, 5: 10}
"""Round trip in milliseconds → instances a sender at most, so that each takes seconds only."""

PUBLISHED = {0: 157.0, 1: 52.0, 5: 21.0}
"""Round trip in milliseconds → instances a second of `published.SYSTEM` from 16 senders through such a proxy."""

_WANTED_MILLISECONDS = 5
_WANTED_OF_OWN, _WANTED_TIMES = 0.80, 25.0

Tell = Callable[[str], None]
Rates = dict[tuple[str, int], float]


@dataclass(frozen=True, slots=True)
class _Case:
    system: System
    milliseconds: int
    files: Corpus

    @property
    def key(self) -> tuple[str, int]:
        return self.system.name, self.milliseconds


def distance(
    server: LocalPostgreSQL,
    orthancs: Sequence[OrthancFiles],
    senders: int,
    instances_each: int,
    rounds: int,
    versions: dict[str, Any],
    tell: Tell,
) -> Part:
    """Measure; systems and delays take turns. `versions` are added to."""
    part = Part(sizes={"senders": senders, "instances_each": instances_each, "rounds": rounds})
    with ExitStack() as stack:
        proxy = stack.enter_context(DelayProxy("127.0.0.1", server.port))
        address = f"127.0.0.1:{proxy.port}"
        ours = stack.enter_context(our_cluster(server, seen_by_nodes=address))
        others = [stack.enter_context(orthanc(server, files, seen_by_orthanc=address)) for files in orthancs]
        versions.update({system.name: system.versions for system in (ours, *others)})
        cases = _cases(stack, ours, others, senders, instances_each)
        measured = _rounds(cases, proxy, rounds, tell, part)
        part.details["round_trips_measured_milliseconds"] = _round_trips(
            ours.database_uri.replace(f"127.0.0.1:{server.port}", address), proxy
        )
    rates = {key: statistics.median(found) for key, found in measured.items()}
    _judge_ours(part, rates, ours.name)
    for other in others:
        theirs = {ms: rates[other.name, ms] for ms in ORTHANC_EACH}
        _judge(part, rates, ours.name, other.name, theirs)
    _judge(part, rates, ours.name, published.SYSTEM, PUBLISHED)
    part.details["per_second"] = {
        f"{name}, {ms} ms": [round(rate, 1) for rate in found] for (name, ms), found in measured.items()
    }
    return part


def _cases(stack: ExitStack, ours: System, others: Sequence[System], senders: int, instances_each: int) -> list[_Case]:
    def files(each: int) -> Corpus:
        most = min(each, instances_each)
        return stack.enter_context(corpus(senders=senders, instances_each=most, size="30 KB"))

    own = files(instances_each)
    fewer = {ms: files(each) for ms, each in ORTHANC_EACH.items()}
    return [_Case(ours, ms, own) for ms in OURS_MILLISECONDS] + [
        _Case(other, ms, fewer[ms]) for other in others for ms in ORTHANC_EACH
    ]


def _rounds(
    cases: Sequence[_Case], proxy: DelayProxy, rounds: int, tell: Tell, part: Part
) -> dict[tuple[str, int], list[float]]:
    """Instances a second; the round before the first warms up."""
    rates: dict[tuple[str, int], list[float]] = {case.key: [] for case in cases}
    work: dict[str, Any] = {}
    for number in range(-1, rounds):
        for case in cases[:: -1 if number % 2 else 1]:
            tell(f"round {max(number + 1, 0)} of {rounds}: {case.system.name}, {case.milliseconds} ms")
            proxy.delay(case.milliseconds)
            done = load(case.system, case.files)
            passed = proxy.delay(0)
            if number >= 0:
                rates[case.key].append(done.rate)
                work[f"{case.system.name}, {case.milliseconds} ms"] = {
                    "messages": round(passed.messages / done.instances, 2),
                    "cpu_milliseconds": round(1000 * passed.cpu_seconds / done.instances, 3),
                }
    part.details["proxy_per_instance"] = work
    return rates


def _round_trips(uri: str, proxy: DelayProxy) -> dict[str, float]:
    """What the proxy really adds: the median of a statement that does nothing."""
    found = {}
    with psycopg.connect(uri, autocommit=True) as connection:
        for ms in OURS_MILLISECONDS:
            proxy.delay(ms)
            times = []
            for _ in range(50):
                began = time.perf_counter()
                connection.execute("SELECT")
                times.append(1000 * (time.perf_counter() - began))
            found[f"{ms} ms"] = round(statistics.median(times), 2)
        proxy.delay(0)
    return found


def _judge_ours(part: Part, rates: Rates, ours: str) -> None:
    own = rates[ours, 0]
    for ms in OURS_MILLISECONDS[1:]:
        ratio = rates[ours, ms] / own
        is_wanted = ms == _WANTED_MILLISECONDS
        part.add(
            f"{ms} ms round trip: instances/s against our own at 0 ms",
            f">= {_WANTED_OF_OWN:.0%}" if is_wanted else "",
            f"{ratio:.0%}: {rates[ours, ms]:,.0f} of {own:,.0f}",
            ratio >= _WANTED_OF_OWN or not is_wanted,
            is_speed=True,
        )


def _judge(part: Part, rates: Rates, ours: str, other: str, theirs: dict[int, float]) -> None:
    for ms, rate in theirs.items():
        times = rates[ours, ms] / rate
        is_wanted = ms == _WANTED_MILLISECONDS
        part.add(
            f"{ms} ms round trip: instances/s against {other}",
            f">= {_WANTED_TIMES:.0f} times" if is_wanted else "",
            f"{times:.1f} times: {rates[ours, ms]:,.0f} of {rate:,.0f}",
            times >= _WANTED_TIMES or not is_wanted,
            is_speed=True,
        )
