"""``python -m benchmarks.report``: see README.md."""

from pathlib import Path

import click
from rich.console import Console

from benchmarks.ingest.outcome import RESULTS
from benchmarks.reporting.documents import Explanations, documents
from benchmarks.reporting.page import page

_PATH = click.Path(path_type=Path)


@click.command()
@click.option("--results", type=_PATH, default=RESULTS, help="Folder with what benchmarks wrote; benchmarks/results.")
@click.option("--output", type=_PATH, help="The page; report.html in that folder unless told otherwise.")
def main(results: Path, output: Path | None) -> None:
    """Make one HTML page, which needs no other file, of all results."""
    found = documents(results)
    if not found:
        raise click.UsageError(f"no results in {results}: run a benchmark first")
    target = output or results / "report.html"
    target.write_text(page(found, Explanations.of(results)), "utf-8")
    Console().print(f"written to {target}", highlight=False)


if __name__ == "__main__":
    main()
