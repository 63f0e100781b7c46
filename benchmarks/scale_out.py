"""``python -m benchmarks.scale_out``: see README.md."""

import statistics
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

import click

from benchmarks.figures import Display, Part
from benchmarks.ingest.corpus import MIXES, Corpus, Mix, corpus
from benchmarks.ingest.machine import load_average, machine, own_server
from benchmarks.ingest.ours import our_cluster
from benchmarks.ingest.outcome import common_options, finish
from benchmarks.ingest.system import System
from benchmarks.loading import load
from benchmarks.parts import parts_option

SENDERS = 16
NODES = (1, 2, 4)
COMPARED: tuple[Mix, ...] = ("distinct", "study", "series")
NODES_OF_MIXES = 2
_WANTED_RATIO = 0.70

Tell = Callable[[str], None]


@click.command()
@click.option("--instances", default=400, show_default=True, help="Of each of 16 senders, in each round.")
@parts_option("nodes", "mixes")
@common_options
def main(instances: int, names: Sequence[str], repeat: int, smoke: bool, json_file: Path | None) -> None:
    """Measure what more nodes on one database bring, and what it costs when all senders write to one study."""
    before = load_average()
    senders, instances, rounds = (4, 8, 1) if smoke else (SENDERS, instances, repeat)
    display = Display()
    found: dict[str, Part] = {}
    # Those of them that get nothing to do cost nothing, so rounds with few and many nodes can take turns.
    with own_server() as server, our_cluster(server, nodes=max(NODES)) as ours, ExitStack() as stack:
        corpora = {
            mix: stack.enter_context(corpus(senders=senders, instances_each=instances, size="30 KB", mix=mix))
            for mix in COMPARED
        }
        runs: dict[str, Callable[[], Part]] = {
            "nodes": lambda: _nodes(ours, corpora["distinct"], rounds, display.tell),
            "mixes": lambda: _mixes(ours, corpora, rounds, display.tell),
        }
        for name in names:
            with display.part(name):
                found[name] = runs[name]()
                found[name].sizes |= {"senders": senders, "instances": instances, "rounds": rounds}
        where = machine(server, before, ours.versions)
    sys.exit(finish("scale_out", found, where, smoke=smoke, json_file=json_file))


def _nodes(ours: System, files: Corpus, rounds: int, tell: Tell) -> Part:
    rates: dict[int, list[float]] = {nodes: [] for nodes in NODES}
    costs: dict[int, list[float]] = {nodes: [] for nodes in NODES}
    for number in range(-1, rounds):
        for nodes in NODES:
            tell(f"round {max(number + 1, 0)} of {rounds}: nodes: {nodes}")
            done = load(ours, files, ours.dicom[:nodes])
            if number >= 0:
                rates[nodes].append(done.rate)
                costs[nodes].append(sum(done.cpu_milliseconds.values()))
    part = Part()
    one = statistics.median(rates[1])
    for nodes in NODES:
        rate, cost = statistics.median(rates[nodes]), statistics.median(costs[nodes])
        # Nothing is wanted: on one machine more nodes share the processors that one has already.
        part.add(
            f"nodes: {nodes}; instances/s against one node",
            "",
            f"{rate / one:.2f} x: {rate:,.0f}; CPU of nodes and PostgreSQL {cost:.2f} ms each",
            met=True,
            is_speed=True,
        )
    part.details["per_second"] = {str(nodes): [round(rate) for rate in found] for nodes, found in rates.items()}
    return part


def _mixes(ours: System, corpora: dict[Mix, Corpus], rounds: int, tell: Tell) -> Part:
    rates: dict[Mix, list[float]] = {mix: [] for mix in corpora}
    for number in range(-1, rounds):
        for mix, files in corpora.items():
            tell(f"round {max(number + 1, 0)} of {rounds}: {MIXES[mix]}")
            done = load(ours, files, ours.dicom[:NODES_OF_MIXES])
            if number >= 0:
                rates[mix].append(done.rate)
    part = Part(sizes={"nodes": NODES_OF_MIXES})
    distinct = statistics.median(rates["distinct"])
    for mix in COMPARED[1:]:
        pairs = zip(rates[mix], rates["distinct"], strict=True)
        ratio = statistics.median(one / other for one, other in pairs)
        is_wanted = mix == "study"
        part.add(
            f"{MIXES[mix]}, {NODES_OF_MIXES} nodes: instances/s against all-distinct studies",
            f">= {_WANTED_RATIO:.0%}" if is_wanted else "",
            f"{ratio:.0%}: {statistics.median(rates[mix]):,.0f} of {distinct:,.0f}",
            ratio >= _WANTED_RATIO or not is_wanted,
            is_speed=True,
        )
    part.details["per_second"] = {mix: [round(rate) for rate in found] for mix, found in rates.items()}
    return part


if __name__ == "__main__":
    main()
