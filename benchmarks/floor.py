"""``python -m benchmarks.floor``: see README.md."""

import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import click

from benchmarks.figures import Display, Part
from benchmarks.ingest.machine import load_average, machine
from benchmarks.ingest.outcome import common_options, finish
from benchmarks.limits.bytes_alone import bytes_alone
from benchmarks.limits.index_rows import index_rows
from benchmarks.limits.receiving import receiving
from benchmarks.parts import parts_option
from workers.local.postgresql import LocalPostgreSQL

_PATH = click.Path(path_type=Path)


@click.command()
@click.option("--instances", default=1_000, show_default=True, help="In each round of the part index.")
@click.option("--folder", type=_PATH, help="Where to write, if not in the temporary folder; decides the file system.")
@parts_option("index", "bytes", "receiving")
@common_options
def main(
    instances: int, folder: Path | None, names: Sequence[str], repeat: int, smoke: bool, json_file: Path | None
) -> None:
    """Measure what the parts of ingest cost alone, against the least that the machine needs for it."""
    before = load_average()
    if smoke:
        instances, repeat = 128, 1
    display = Display()
    found: dict[str, Part] = {}
    with (
        tempfile.TemporaryDirectory(prefix="floor-", dir=folder) as temporary,
        LocalPostgreSQL(Path(temporary, "postgresql")) as server,
    ):
        runs: dict[str, Callable[[], Part]] = {
            "index": lambda: index_rows(server, instances, repeat, display.tell),
            "bytes": lambda: bytes_alone(Path(temporary), repeat, smoke, display.tell),
            "receiving": lambda: receiving(Path(temporary), repeat, smoke, display.tell),
        }
        for name in names:
            with display.part(name):
                found[name] = runs[name]()
        where = machine(server, before)
    sys.exit(finish("floor", found, where, smoke=smoke, json_file=json_file))


if __name__ == "__main__":
    main()
