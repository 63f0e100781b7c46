"""``python -m benchmarks.floor``: see README.md."""

import tempfile
from collections.abc import Callable
from pathlib import Path

import click

from benchmarks.ending import chosen, end
from benchmarks.figures import Display, Part
from benchmarks.ingest.machine import load_average, machine
from benchmarks.limits.bytes_alone import bytes_alone
from benchmarks.limits.index_rows import index_rows
from benchmarks.limits.receiving import receiving
from workers.local.postgresql import LocalPostgreSQL

NAMES = ("index", "bytes", "receiving")

_PATH = click.Path(path_type=Path)


@click.command()
@click.option("--instances", default=1_000, show_default=True, help="In each round of the part index.")
@click.option("--rounds", default=7, show_default=True, help="Of which the median counts.")
@click.option("--parts", "names", default=",".join(NAMES), show_default=True, help="Only these.")
@click.option("--folder", type=_PATH, help="Where to write, if not in the temporary folder; decides the file system.")
@click.option("--smoke", is_flag=True, help="Small, in seconds: does it work at all?")
@click.option("--json", "json_file", type=_PATH, help="Where to write, instead of benchmarks/results.")
def main(instances: int, rounds: int, names: str, folder: Path | None, smoke: bool, json_file: Path | None) -> None:
    """Measure what the parts of ingest cost alone, against the least that the machine needs for it."""
    if smoke:
        instances, rounds = 128, 1
    before = load_average()
    display = Display()
    found: dict[str, Part] = {}
    with (
        tempfile.TemporaryDirectory(prefix="floor-", dir=folder) as temporary,
        LocalPostgreSQL(Path(temporary, "postgresql")) as server,
    ):
        runs: dict[str, Callable[[], Part]] = {
            "index": lambda: index_rows(server, instances, rounds, display.tell),
            "bytes": lambda: bytes_alone(Path(temporary), rounds, smoke, display.tell),
            "receiving": lambda: receiving(Path(temporary), rounds, smoke, display.tell),
        }
        where = machine(server, before)
        for name in chosen(names, NAMES):
            with display.part(name):
                found[name] = runs[name]()
    end("floor", found, where, smoke=smoke, json_file=json_file)


if __name__ == "__main__":
    main()
