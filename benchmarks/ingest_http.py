"""``python -m benchmarks.ingest_http``: see README.md."""

import sys
from pathlib import Path
from typing import Any

import click

from benchmarks.figures import Display
from benchmarks.ingest.machine import load_average, machine, own_server
from benchmarks.ingest.outcome import common_options, finish
from benchmarks.ingest.peers import peer_options, peers
from benchmarks.ingest.rounds import Rounds
from benchmarks.ingest.samples import Samples
from benchmarks.ingest.uploads import EACH, SMOKE_EACH, judged, measure


@click.command()
@common_options
@peer_options
def main(repeat: int, smoke: bool, json_file: Path | None, **chosen: Any) -> None:
    """POST /instances from 8 clients into our node and real Orthanc, in turns."""
    before = load_average()
    display = Display()
    with own_server() as server, display.part("http"):
        rounds = Rounds(server, peers(**chosen), 1 if smoke else repeat, display.tell)
        samples = Samples(list(measure(rounds, SMOKE_EACH if smoke else EACH)))
        where = machine(server, before, rounds.versions)
    part = judged(samples)
    part.sizes = {"rounds": 1 if smoke else repeat}
    tables = (samples.table("POST /instances"),)
    sys.exit(finish("ingest_http", {"http": part}, where, smoke=smoke, json_file=json_file, tables=tables))


if __name__ == "__main__":
    main()
