"""The end of an ingest benchmark: tables for people, a file for programs, an exit status for both."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from benchmarks.figures import Part, table, write

RESULTS = Path(__file__).parents[1] / "results"


def finish(
    name: str,
    parts: dict[str, Part],
    machine: Mapping[str, Any],
    *,
    smoke: bool,
    json_file: Path | None,
    tables: tuple[Table, ...] = (),
) -> int:
    """Print, write to `json_file` or ``results/<name>.json`` (a smoke run: only to `json_file`).

    Returns:
        The exit status: 0 if all figures are met; at smoke size those of speed do not count.
    """
    console = Console()
    file = json_file or (None if smoke else RESULTS / f"{name}.json")
    if file is not None:
        write(file, parts, dict(machine))
    for each in (*tables, table(parts)):
        console.print(each)
    if file is not None:
        console.print(f"written to {file}", highlight=False)
    figures = [figure for part in parts.values() for figure in part.figures]
    return 0 if all(figure.met or (smoke and figure.is_speed) for figure in figures) else 1


def common_options(command: Any) -> Any:
    """``--smoke``, ``--json`` and ``--repeat``."""
    path = click.Path(path_type=Path)
    for option in reversed(
        (
            click.option("--repeat", default=3, show_default=True, help="Rounds; in each all systems take their turn."),
            click.option("--smoke", is_flag=True, help="Small, in seconds: does it work at all?"),
            click.option("--json", "json_file", type=path, help="Where to write, instead of benchmarks/results."),
        )
    ):
        command = option(command)
    return command
