"""``python -m benchmarks.scaling``: see README.md."""

import json
import sys
import tempfile
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path

import click

from benchmarks.figures import Display, Part
from benchmarks.growth.measure import Sample, measure
from benchmarks.growth.model import Model
from benchmarks.growth.text import scaling
from benchmarks.ingest.machine import load_average, machine, own_server
from benchmarks.ingest.outcome import RESULTS, finish

PAGE = Path(__file__).parent / "scaling.md"
_PATH = click.Path(path_type=Path)
_WITHIN = 0.15


@click.command()
@click.option("--sizes", default="250000,500000,1000000", show_default=True, help="Instances of the small archives.")
@click.option("--checked", default=5_000_000, show_default=True, help="Predicted, then measured; 0: not.")
@click.option("--added", default=6400, show_default=True, help="Instances stored into each archive.")
@click.option("--smoke", is_flag=True, help="Small, in seconds: does it work at all?")
@click.option("--keep", type=_PATH, help="Folder for the server; archives in it are kept and used again.")
@click.option("--json", "json_file", type=_PATH, help="Where to write, instead of benchmarks/results.")
@click.option("--again", is_flag=True, help="Measure nothing: write the page from the results that are there.")
def main(
    sizes: str, checked: int, added: int, smoke: bool, keep: Path | None, json_file: Path | None, again: bool
) -> None:
    """What an archive costs as it grows; writes benchmarks/scaling.md."""
    if again:
        PAGE.write_text(_of_results(json_file or RESULTS / "scaling.json"), "utf-8")
        return
    wanted = [5_000] if smoke else [int(size) for size in sizes.split(",")]
    checked, added = (10_000, 128) if smoke else (checked, added)
    before, display = load_average(), Display()
    with (
        tempfile.TemporaryDirectory() as folder,
        nullcontext(keep) if keep else tempfile.TemporaryDirectory(prefix="scaling-") as servers,
        own_server(Path(servers)) as server,
        display.part("scaling"),
    ):
        samples = [measure(server, size, added, Path(folder), display) for size in wanted]
        model = Model(samples)
        # Said before it is measured.
        said = model.at(checked)
        found = measure(server, checked, added, Path(folder), display) if checked else None
        where = machine(server, before)
    part = Part(sizes={"instances": wanted, "checked": checked, "added": added})
    if found is not None:
        error = said.index_bytes / found.index_bytes - 1
        part.add(
            f"size of an index of {found.instances:,} instances, predicted from smaller ones",
            f"within {_WITHIN:.0%}",
            f"{said.index_bytes / 1e9:.2f} GB, is {found.index_bytes / 1e9:.2f} GB ({error:+.0%})",
            abs(error) <= _WITHIN,
            is_speed=True,
        )
        part.details["predicted"] = asdict(said)
        part.details["measured"] = asdict(found)
    part.details["samples_by_size"] = [asdict(sample) for sample in samples]
    if not smoke:
        PAGE.write_text(scaling(model, samples, found, where), "utf-8")
    sys.exit(finish("scaling", {"growth": part}, where, smoke=smoke, json_file=json_file))


def _of_results(file: Path) -> str:
    part = json.loads(file.read_text("utf-8"))["growth"]
    samples = [Sample(**each) for each in part["details"]["samples_by_size"]]
    measured = part["details"].get("measured")
    return scaling(Model(samples), samples, Sample(**measured) if measured else None, part["machine"])


if __name__ == "__main__":
    main()
