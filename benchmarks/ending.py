"""How the benchmarks of ingest end: a table, JSON, an exit status."""

import sys
from pathlib import Path
from typing import Any, NoReturn

import click
from rich.console import Console

from benchmarks.figures import Part, table, write

RESULTS = Path(__file__).parent / "results"


def end(name: str, parts: dict[str, Part], where: dict[str, Any], *, smoke: bool, json_file: Path | None) -> NoReturn:
    """Show and write what was found, and exit with 0 if everything wanted was met.

    Args:
        name: of the file in benchmarks/results; nothing is written there by a smoke run.
        where: machine, versions and load.
        smoke: figures of speed do not count.
        json_file: instead of the file in benchmarks/results, for a smoke run too.
    """
    console = Console()
    console.print(table(parts))
    file = json_file or (None if smoke else RESULTS / f"{name}.json")
    if file is not None:
        write(file, parts, where)
        console.print(f"written to {file}", highlight=False)
    figures = [figure for part in parts.values() for figure in part.figures]
    sys.exit(0 if all(figure.met or (smoke and figure.is_speed) for figure in figures) else 1)


def chosen(names: str, known: tuple[str, ...]) -> list[str]:
    """The parts that a command line names; raises BadParameter for one that there is not."""
    wanted = [name for name in names.lower().split(",") if name]
    unknown = set(wanted) - set(known)
    if unknown or not wanted:
        raise click.BadParameter(f"{', '.join(sorted(unknown)) or 'nothing'}; there are {', '.join(known)}")
    return wanted
