"""``python -m benchmarks.orthanc_baseline``: see README.md."""

import sys
from pathlib import Path
from typing import Any

import click

from benchmarks.figures import Display, Part
from benchmarks.ingest import cstore, uploads
from benchmarks.ingest.machine import load_average, machine, own_server
from benchmarks.ingest.outcome import common_options, finish
from benchmarks.ingest.peers import peer_options, peers
from benchmarks.ingest.rounds import Rounds
from benchmarks.ingest.samples import Samples


@click.command()
@click.option("--alone", is_flag=True, help="Only Orthanc: numbers to compare with later.")
@common_options
@peer_options
def main(alone: bool, repeat: int, smoke: bool, json_file: Path | None, **chosen: Any) -> None:
    """The loads that figures are wanted for, by both doors, into real Orthanc and ours in turns; prints ratios."""
    before = load_average()
    display = Display()
    with own_server() as server, display.part("baseline"):
        compared = [peer for peer in peers(**chosen) if not (alone and peer.is_ours)]
        rounds = Rounds(server, compared, 1 if smoke else repeat, display.tell)
        plan = cstore.smoke_plan()[:1] if smoke else cstore.wanted_plan()
        sent = Samples(list(cstore.measure(rounds, plan)))
        uploaded = Samples(list(uploads.measure(rounds, uploads.SMOKE_EACH if smoke else uploads.EACH)))
        where = machine(server, before, rounds.versions)
    parts: dict[str, Part] = {"cstore": cstore.judged(sent), "http": uploads.judged(uploaded)}
    for part in parts.values():
        part.sizes = {"rounds": 1 if smoke else repeat}
    tables = (sent.table("C-STORE"), uploaded.table("POST /instances"))
    sys.exit(finish("orthanc_baseline", parts, where, smoke=smoke, json_file=json_file, tables=tables))


if __name__ == "__main__":
    main()
