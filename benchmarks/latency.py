"""``python -m benchmarks.latency``: see README.md."""

import random
import statistics
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
import psycopg

from benchmarks.delay_proxy import DelayProxy
from benchmarks.ending import chosen, end
from benchmarks.figures import Display, Part
from benchmarks.ingest.corpus import Corpus, corpus
from benchmarks.ingest.machine import load_average, machine, own_server
from benchmarks.ingest.orthanc import orthanc
from benchmarks.ingest.ours import our_cluster
from benchmarks.ingest.system import System
from benchmarks.paced import paced, percentile
from benchmarks.rounds import installed_orthanc, load
from workers.local.postgresql import LocalPostgreSQL

NAMES = ("distance", "half")
SENDERS = 16
OURS_MILLISECONDS = (0, 1, 5, 20)
ORTHANC_EACH = {0: 60, 1: 30, 5: 10}
"""Round trip in milliseconds → instances a sender; it is slow."""
_WANTED_OF_OWN, _WANTED_TIMES_ORTHANC, _WANTED_SPREAD = 0.80, 25.0, 5.0
_KEPT = 0.95

Tell = Callable[[str], None]
_PATH = click.Path(path_type=Path)


@dataclass(slots=True)
class _Setting:
    """What a part works with."""

    server: LocalPostgreSQL
    proxy: DelayProxy
    senders: int
    instances_each: int
    rounds: int
    is_smoke: bool
    tell: Tell
    versions: dict[str, str] = field(default_factory=dict)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.proxy.port}"


@click.command()
@click.option("--instances", default=400, show_default=True, help="Of each of 16 senders, in each round.")
@click.option("--rounds", default=5, show_default=True, help="Of which the median counts.")
@click.option("--parts", "names", default=",".join(NAMES), show_default=True, help="Only these.")
@click.option("--smoke", is_flag=True, help="Small, in seconds: does it work at all?")
@click.option("--json", "json_file", type=_PATH, help="Where to write, instead of benchmarks/results.")
def main(instances: int, rounds: int, names: str, smoke: bool, json_file: Path | None) -> None:
    """Measure what distance to the database costs, and how even answers are under half of the maximum load."""
    before = load_average()
    display = Display()
    found: dict[str, Part] = {}
    with own_server() as server, DelayProxy("127.0.0.1", server.port) as proxy:
        small = (2, 8, 1) if smoke else (SENDERS, instances, rounds)
        setting = _Setting(server, proxy, *small, smoke, display.tell)
        runs = {"distance": _distance, "half": _half}
        for name in chosen(names, NAMES):
            with display.part(name):
                found[name] = runs[name](setting)
        where = machine(server, before, setting.versions)
    end("latency", found, where, smoke=smoke, json_file=json_file)


def _distance(setting: _Setting) -> Part:
    files = installed_orthanc()
    part = Part(sizes={"senders": setting.senders, "instances": setting.instances_each, "rounds": setting.rounds})
    rates: dict[tuple[str, int], list[float]] = {}
    with ExitStack() as stack:
        ours = stack.enter_context(our_cluster(setting.server, seen_by_nodes=setting.address))
        corpora = {0: _corpus(stack, setting.senders, setting.instances_each)}
        loads: list[tuple[str, System, int, Corpus]] = [("ours", ours, ms, corpora[0]) for ms in OURS_MILLISECONDS]
        setting.versions |= ours.versions
        if files is not None:
            theirs = stack.enter_context(orthanc(setting.server, files, seen_by_orthanc=setting.address))
            setting.versions |= theirs.versions
            for ms, each in ORTHANC_EACH.items():
                own = _corpus(stack, setting.senders, min(each, setting.instances_each))
                loads.append(("orthanc", theirs, ms, own))
        for number in range(-1, setting.rounds):
            for name, system, ms, own in loads:
                setting.tell(f"round {max(number + 1, 0)} of {setting.rounds}: {name}, {ms} ms")
                setting.proxy.delay(ms)
                done = load(system, own)
                work = setting.proxy.delay(0)
                if number >= 0 or setting.is_smoke:
                    rates.setdefault((name, ms), []).append(done.rate)
                    part.details[f"{name}, {ms} ms: messages and CPU of the proxy each"] = [
                        round(work.messages / done.instances, 2),
                        f"{1000 * work.cpu_seconds / done.instances:.3f} ms",
                    ]
        part.details["round_trips_measured_milliseconds"] = _round_trips(setting, ours.database_uri)
    _distance_figures(part, {key: statistics.median(found) for key, found in rates.items()})
    part.details["per_second"] = {f"{name}, {ms} ms": _rounded(found) for (name, ms), found in rates.items()}
    return part


def _corpus(stack: ExitStack, senders: int, instances_each: int) -> Corpus:
    return stack.enter_context(corpus(senders=senders, instances_each=instances_each, size="30 KB"))


def _round_trips(setting: _Setting, uri: str) -> dict[str, float]:
    """What the proxy really adds: the median of a statement that does nothing."""
    through = uri.replace(f"127.0.0.1:{setting.server.port}", setting.address)
    found = {}
    with psycopg.connect(through, autocommit=True) as connection:
        for ms in OURS_MILLISECONDS:
            setting.proxy.delay(ms)
            times = []
            for _ in range(50):
                began = time.perf_counter()
                connection.execute("SELECT")
                times.append(1000 * (time.perf_counter() - began))
            found[f"{ms} ms"] = round(statistics.median(times), 2)
        setting.proxy.delay(0)
    return found


def _distance_figures(part: Part, rates: dict[tuple[str, int], float]) -> None:
    own = rates["ours", 0]
    for ms in OURS_MILLISECONDS[1:]:
        ratio = rates["ours", ms] / own
        is_wanted = ms == 5
        part.add(
            f"{ms} ms round trip: instances/s against our own at 0 ms",
            f">= {_WANTED_OF_OWN:.0%}" if is_wanted else "",
            f"{ratio:.0%}: {rates['ours', ms]:,.0f} of {own:,.0f}",
            ratio >= _WANTED_OF_OWN or not is_wanted,
            is_speed=True,
        )
    for ms in ORTHANC_EACH:
        wanted = f">= {_WANTED_TIMES_ORTHANC:.0f} x" if ms == 5 else ""
        name = f"{ms} ms round trip: instances/s against Orthanc's"
        if ("orthanc", ms) not in rates:
            part.add(name, wanted, "not installed", met=not wanted, is_speed=True)
            continue
        times = rates["ours", ms] / rates["orthanc", ms]
        measured = f"{times:.1f} x: {rates['ours', ms]:,.0f} of {rates['orthanc', ms]:,.0f}"
        part.add(name, wanted, measured, times >= _WANTED_TIMES_ORTHANC or not wanted, is_speed=True)


def _half(setting: _Setting) -> Part:
    """The maximum by dcmsend first, then half of it by senders that keep the rate."""
    seconds = 2.0 if setting.is_smoke else 20.0
    part = Part(sizes={"senders": setting.senders, "seconds": seconds, "rounds": setting.rounds})
    found: list[tuple[float, float]] = []
    with (
        our_cluster(setting.server) as ours,
        corpus(senders=setting.senders, instances_each=setting.instances_each, size="30 KB") as files,
    ):
        setting.versions |= ours.versions
        load(ours, files)
        for number in range(1, setting.rounds + 1):
            setting.tell(f"round {number} of {setting.rounds}: the maximum")
            maximum = load(ours, files).rate
            setting.tell(f"round {number} of {setting.rounds}: half of {maximum:,.0f} a second")
            half = paced(
                ours.dicom, senders=setting.senders, rate=maximum / 2, seconds=seconds, seed=random.randrange(10**9)
            )
            if half.failures:
                raise RuntimeError(f"{half.failures} of {half.instances} refused")
            p50, p99 = (percentile(half.latencies, percent) for percent in (50, 99))
            found.append((p50, p99))
            part.details[f"round {number}"] = {
                "maximum_per_second": round(maximum),
                "kept": round(half.rate / (maximum / 2), 3),
                "milliseconds": _quantiles(half.latencies),
                "milliseconds_since_due": _quantiles(half.since_due),
            }
    p50, p99 = (1000 * statistics.median(column) for column in zip(*found, strict=True))
    kept = statistics.median(detail["kept"] for detail in part.details.values())
    part.add("half of the maximum rate was kept", f">= {_KEPT:.0%}", f"{kept:.0%}", kept >= _KEPT, is_speed=True)
    part.add(
        "p99 of C-STORE at half of the maximum against p50",
        f"<= {_WANTED_SPREAD:.0f} x",
        f"{p99 / p50:.1f} x: {p99:.1f} ms of {p50:.1f} ms",
        p99 <= _WANTED_SPREAD * p50,
        is_speed=True,
    )
    return part


def _quantiles(ordered: Sequence[float]) -> dict[str, float]:
    return {f"p{percent}": round(1000 * percentile(ordered, percent), 2) for percent in (50, 90, 99, 99.9)}


def _rounded(values: Sequence[float]) -> list[Any]:
    return [round(value, 1) for value in values]


if __name__ == "__main__":
    main()
