"""What a benchmark found: a table for people, JSON for programs."""

import json
import os
import platform
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import psycopg
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from workers.local.postgresql import LocalPostgreSQL


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table.

    Attributes:
        is_speed: says something at full size only.
    """

    name: str
    wanted: str
    measured: str
    met: bool
    is_speed: bool = False


@dataclass(slots=True)
class Part:
    """What one part of a benchmark found.

    Attributes:
        sizes: how much it worked on.
        details: numbers that are wanted by nobody and explain the others.
    """

    figures: list[Figure] = field(default_factory=list)
    sizes: dict[str, Any] = field(default_factory=dict)
    details: dict[str, Any] = field(default_factory=dict)

    def add(self, name: str, wanted: str, measured: str, met: bool, *, is_speed: bool = False) -> None:
        self.figures.append(Figure(name, wanted, measured, met, is_speed))


class Display:
    """One line that says what goes on, on standard error."""

    def __init__(self) -> None:
        columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
        self._progress = Progress(*columns, console=Console(stderr=True), transient=True)
        self._part = ""
        self._task = self._progress.add_task("")

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        self._part = name
        self._progress.reset(self._task, description=name)
        with self._progress:
            yield

    def tell(self, text: str) -> None:
        self._progress.update(self._task, description=f"{self._part}: {text}")


def table(parts: dict[str, Part]) -> Table:
    """All figures of all parts."""
    rows = Table("", "figure", "wanted", "measured", "met")
    for name, part in parts.items():
        for figure in part.figures:
            met = "[green]yes[/]" if figure.met else "[bold red]no[/]"
            rows.add_row(name.upper(), figure.name, figure.wanted, figure.measured, met)
        rows.add_section()
    return rows


def write(file: Path, parts: dict[str, Part], machine: dict[str, Any]) -> None:
    """Write what was measured; parts of the file that were not measured this time stay."""
    document: dict[str, Any] = json.loads(file.read_text("utf-8")) if file.exists() else {}
    for name, part in parts.items():
        document[name] = {"machine": machine, **asdict(part)}
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", "utf-8")


def machine(server: LocalPostgreSQL, settings: Sequence[str] = ("shared_buffers", "max_wal_size")) -> dict[str, Any]:
    """Where and when it was measured."""
    with psycopg.connect(server.uri("postgres"), autocommit=True) as connection:
        [version] = connection.execute("SHOW server_version").fetchone()
        values = {name: connection.execute(f"SHOW {name}").fetchone()[0] for name in ("fsync", *settings)}
    return {
        "date": time.strftime("%Y-%m-%d %H:%M", time.gmtime()),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gigabytes": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "kernel": platform.release().partition("-")[0],
        "python": platform.python_version(),
        "postgresql": version,
        "settings": values,
    }
