"""``python -m benchmarks.latency``: see README.md."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from benchmarks.delays.distance import distance
from benchmarks.delays.half_load import half_load
from benchmarks.figures import Display, Part
from benchmarks.ingest.machine import load_average, machine, own_server
from benchmarks.ingest.orthanc import OrthancFiles, find_orthanc
from benchmarks.ingest.outcome import common_options, finish
from benchmarks.ingest.peers import peer_options
from benchmarks.parts import parts_option


@click.command()
@click.option("--instances", default=400, show_default=True, help="Of each of 16 senders, in each round.")
@parts_option("distance", "half")
@common_options
@peer_options
def main(instances: int, names: Sequence[str], repeat: int, smoke: bool, json_file: Path | None, **chosen: Any) -> None:
    """Measure what distance to the database costs, and how even answers are under half of the maximum load."""
    before = load_average()
    senders, instances, repeat = (2, 8, 1) if smoke else (16, instances, repeat)
    display = Display()
    found: dict[str, Part] = {}
    versions: dict[str, Any] = {}
    with own_server() as server:
        runs: dict[str, Callable[[], Part]] = {
            "distance": lambda: distance(
                server, _orthancs(**chosen), senders, instances, repeat, versions, display.tell
            ),
            "half": lambda: half_load(server, senders, instances, repeat, 2.0 if smoke else 20.0, display.tell),
        }
        for name in names:
            with display.part(name):
                found[name] = runs[name]()
        where = machine(server, before, versions)
    sys.exit(finish("latency", found, where, smoke=smoke, json_file=json_file))


def _orthancs(roots: Sequence[Path], program: Path | None, plugin: Path | None, **_: str) -> list[OrthancFiles]:
    """As `peers` chooses, but files only: each is to reach its database through the proxy."""
    files = [find_orthanc(root=root) for root in roots]
    return files if files and not (program or plugin) else [*files, find_orthanc(program=program, plugin=plugin)]


if __name__ == "__main__":
    main()
