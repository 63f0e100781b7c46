"""``python -m benchmarks.ingest_cstore``: see README.md."""

import sys
from pathlib import Path
from typing import Any

import click

from benchmarks.figures import Display
from benchmarks.ingest.cstore import SENDERS, full_plan, judged, measure, smoke_plan
from benchmarks.ingest.machine import load_average, machine, own_server
from benchmarks.ingest.outcome import common_options, finish
from benchmarks.ingest.peers import peer_options, peers
from benchmarks.ingest.rounds import Rounds
from benchmarks.ingest.samples import Samples


@click.command()
@click.option("--senders", default=",".join(map(str, SENDERS)), show_default=True, help="Only these numbers of them.")
@common_options
@peer_options
def main(senders: str, repeat: int, smoke: bool, json_file: Path | None, **chosen: Any) -> None:
    """C-STORE from many dcmsend processes into our node and real Orthanc, in turns."""
    before = load_average()
    plan = smoke_plan() if smoke else full_plan([int(count) for count in senders.split(",")])
    display = Display()
    with own_server() as server, display.part("cstore"):
        rounds = Rounds(server, peers(**chosen), 1 if smoke else repeat, display.tell)
        samples = Samples(list(measure(rounds, plan)))
        where = machine(server, before, rounds.versions)
    part = judged(samples)
    part.sizes = {"rounds": 1 if smoke else repeat}
    tables = (samples.table("C-STORE"),)
    sys.exit(finish("ingest_cstore", {"cstore": part}, where, smoke=smoke, json_file=json_file, tables=tables))


if __name__ == "__main__":
    main()
