"""What ``orthanc-cluster schema status`` and ``plan`` say of steps, as a table and as JSON."""

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from cluster.schema.plan import PlannedStep
from cluster.schema.progress import Progress


def json_steps(steps: Sequence[PlannedStep]) -> dict[str, Any]:
    """Steps that nobody has begun with."""
    return {
        "steps": [
            {
                "step": planned.name,
                "lock": planned.lock,
                "reads": list(planned.reads),
                "rows": planned.rows,
                "estimated_seconds": planned.seconds,
            }
            for planned in steps
        ],
        "estimated_seconds": round(sum(planned.seconds for planned in steps), 1),
    }


def json_progress(progress: Progress) -> dict[str, Any]:
    """The steps of an upgrade that was begun, those that are done included."""
    return {
        "steps": [
            {
                "step": step.name,
                "lock": step.lock,
                "estimated_seconds": step.estimated_seconds,
                "progress": round(step.fraction, 3),
                "rows_done": step.rows,
                "seconds": step.seconds,
                "held_milliseconds": step.held_milliseconds,
            }
            for step in progress.steps
        ],
        "estimated_seconds": round(progress.seconds_left, 1),
    }


def print_steps(steps: Sequence[PlannedStep]) -> None:
    """A table of what would be done; nothing if there is nothing."""
    if not steps:
        return
    table = Table("step", "strongest lock", "rows read", "about", box=None, pad_edge=False)
    for planned in steps:
        table.add_row(planned.name, planned.lock, f"{planned.rows:,}", _duration(planned.seconds))
    table.add_row("together", "", "", _duration(sum(planned.seconds for planned in steps)))
    Console().print(table)


def print_progress(progress: Progress) -> None:
    """A table of what is done and what is left."""
    table = Table("step", "strongest lock", "done", "about", "took", box=None, pad_edge=False)
    for step in progress.steps:
        took = _duration(step.seconds) if step.done and step.seconds is not None else ""
        table.add_row(step.name, step.lock, f"{step.fraction * 100:.0f} %", _duration(step.estimated_seconds), took)
    table.add_row("left", "", "", _duration(progress.seconds_left), "")
    Console().print(table)


def _duration(seconds: float) -> str:
    if seconds < 1:
        return "< 1 s"
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
