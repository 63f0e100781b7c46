"""``python -m benchmarks.proof_pack``: see README.md."""

import json
import sys
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from benchmarks.ingest.outcome import RESULTS
from benchmarks.proof import checks, compact, gather
from benchmarks.proof.contents import HISTORY, PAGE, REPORT, VERDICT
from benchmarks.proof.page import page
from benchmarks.reporting.documents import Explanations, documents
from benchmarks.reporting.page import page as report

_FOLDER = click.Path(path_type=Path, file_okay=False, exists=True)


@click.command()
@click.option("--prove", "run", type=_FOLDER, help="Folder of a finished `orthanc-cluster prove --out`: take it over.")
@click.option("--note", help="With --prove: what else the machine did meanwhile.")
@click.option("--results", type=_FOLDER, default=RESULTS, help="Where benchmarks wrote to; benchmarks/results.")
@click.option("--out", type=click.Path(path_type=Path), help="New folder: the pack with the whole history.")
@click.option("--check", "checked", type=_FOLDER, help="Change nothing, say whether the pack in that folder holds.")
def main(run: Path | None, note: str | None, results: Path, out: Path | None, checked: Path | None) -> None:
    """Make the proof pack of what was measured, or check one. Exit status 0: it holds; 1: it does not."""
    if checked is not None:
        sys.exit(_told(checked))
    if out is not None and out.exists():
        raise click.UsageError(f"--out {out} is there already")
    if run is not None:
        try:
            gather.take_over(run, results, note)
        except FileNotFoundError as error:
            raise click.UsageError(f"--prove {run} holds no finished run: {error}") from error
    _make(results)
    if out is not None:
        gather.hand_out(results, run, out)
        _make(out)
    sys.exit(_told(out or results))


def _make(folder: Path) -> None:
    """Report, description, page and sums of what is in the folder."""
    (folder / REPORT).write_text(report(documents(folder), Explanations.of(folder)), "utf-8")
    pack = gather.describe(folder)
    verdict: dict[str, Any] | None = None
    history: dict[str, Any] | None = None
    if (folder / VERDICT).exists():
        verdict = json.loads((folder / VERDICT).read_text("utf-8"))
    if (folder / HISTORY).exists():
        history = compact.read(folder / HISTORY)
    faults = list(checks.contradictions(folder))
    (folder / PAGE).write_text(page(folder, pack, verdict, history, faults), "utf-8")
    gather.sign(folder)


def _told(folder: Path) -> int:
    console = Console()
    faults = checks.faults(folder)
    for text in faults:
        console.print(text, style="red", highlight=False)
    held = f"{folder / PAGE}: every part is there and unchanged, every verdict passed, every miss is explained"
    line = f"{folder}: {len(faults)} faults" if faults else held
    console.print(line, style="bold red" if faults else "bold green", highlight=False, soft_wrap=True)
    return 1 if faults else 0


if __name__ == "__main__":
    main()
