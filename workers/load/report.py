"""The result of a run as a table for people and as JSON for programs."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as ProgressBar
from rich.table import Table

from workers.load.live import Progress
from workers.load.result import LoadResult

_SHOWN_REASONS = 3
"""Of failed attempts, beside the bar."""


def as_json(result: LoadResult) -> dict[str, Any]:
    """The numbers of a run, with the keys that the README documents; times as the names say."""
    findings = result.findings
    return {
        "passed": result.passed,
        "planned": result.planned,
        "sent": result.sent,
        "acknowledged": result.acknowledged,
        "missing": result.missing,
        "duplicated": result.duplicated,
        "wrong_bytes": result.wrong_bytes,
        "not_deleted": result.not_deleted,
        "checked": result.checked,
        "unchecked": findings.unchecked,
        "inconsistencies": findings.inconsistencies,
        "orphans": findings.orphans,
        "examples": [f"{public_id}: {text}" for public_id, text in findings.examples.items()],
        "attempts": result.attempts,
        "retries": result.retries,
        "failures": result.failures,
        "per_target": result.per_target,
        "seconds": round(result.seconds, 3),
        "instances_per_second": round(result.instances_per_second, 2),
        "megabytes_per_second": round(_megabytes_per_second(result), 2),
        "latency_ms": result.latency_milliseconds,
        "searches": result.searches,
        "deletions": result.deletions,
        "overwritten": result.overwritten,
        "missed": list(result.missed),
        "seed": result.seed,
    }


def result_table(result: LoadResult) -> Table:
    """The numbers of a run, those that must be 0 in colour."""
    findings = result.findings
    rows = Table(title="Load", show_header=False)
    rows.add_column()
    rows.add_column(justify="right")
    rows.add_row("sent", f"{result.sent:,} of {result.planned:,}")
    rows.add_row("acknowledged", _counted(result.acknowledged, result.acknowledged == result.planned))
    rows.add_row("missing", _counted(result.missing, not findings.missing))
    rows.add_row("duplicated", _counted(result.duplicated, not findings.duplicated))
    rows.add_row("wrong bytes", _counted(result.wrong_bytes, not findings.wrong_bytes))
    if result.deletions:
        rows.add_row("deleted, and still there", _counted(result.not_deleted, not findings.not_deleted))
    rows.add_row("inconsistencies", _counted(len(findings.inconsistencies), not findings.inconsistencies))
    if findings.orphans is not None:
        rows.add_row("files without a row", f"{findings.orphans:,}")
    rows.add_section()
    rows.add_row("instances/s", f"{result.instances_per_second:,.1f}")
    rows.add_row("MB/s", f"{_megabytes_per_second(result):,.1f}")
    for name, milliseconds in result.latency_milliseconds.items():
        rows.add_row(f"{name} latency", "-" if milliseconds is None else f"{milliseconds:,.1f} ms")
    rows.add_row("seconds", f"{result.seconds:,.1f}")
    for name, number in (("searches", result.searches), ("deleted", result.deletions)):
        if number:
            rows.add_row(f"{name} beside", f"{number:,}")
    if result.overwritten:
        rows.add_row("sent with other content", f"{result.overwritten:,}")
    rows.add_section()
    for target, acknowledged in result.per_target.items():
        rows.add_row(f"acknowledged by {target}", f"{acknowledged:,}")
    rows.add_row("sent again", f"{result.retries:,}")
    for reason, number in result.failures.items():
        rows.add_row(f"  {reason}", f"{number:,}")
    return rows


def print_result(result: LoadResult, console: Console) -> None:
    """Table, then what was found wrong, then the verdict."""
    console.print(result_table(result))
    for public_id, text in result.findings.examples.items():
        console.print(f"{public_id}: {text}", style="red", highlight=False)
    for text in result.findings.inconsistencies:
        console.print(text, style="red", highlight=False)
    for text in result.missed:
        console.print(text, style="red", highlight=False)
    if findings := result.findings.unchecked:
        console.print(findings, style="yellow", highlight=False)
    console.print(verdict(result), style="bold green" if result.passed else "bold red", highlight=False)


def verdict(result: LoadResult) -> str:
    """One line: what was lost, and what is there twice."""
    line = f"lost {result.missing:,}, duplicated {result.duplicated:,}" if result.checked else "not compared yet"
    if result.wrong_bytes:
        line += f", wrong bytes {result.wrong_bytes:,}"
    if result.not_deleted:
        line += f", not deleted {result.not_deleted:,}"
    if result.findings.inconsistencies:
        line += ", statistics wrong"
    if result.missed:
        line += f"; {len(result.missed)} thresholds missed"
    if result.acknowledged < result.planned:
        line += f"; {result.planned - result.acknowledged:,} of {result.planned:,} were never acknowledged"
    return line


@contextmanager
def progress_bar(console: Console) -> Iterator[Callable[[Progress], None]]:
    """A bar while sending; yields what `run_load` wants as `progress`."""
    columns = (TextColumn("acknowledged"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[now]}"))
    with ProgressBar(*columns, TimeElapsedColumn(), console=console, transient=True) as bar:
        task = bar.add_task("acknowledged", total=None, now="")

        def show(progress: Progress) -> None:
            parts = [f"{progress.rate:,.0f}/s"]
            parts += [f"{name} {value:,.1f} ms" for name, value in progress.latency_milliseconds.items()]
            if progress.retries:
                parts.append(f"{progress.retries:,} sent again")
            parts += [f"{reason}: {number:,}" for reason, number in list(progress.failures.items())[:_SHOWN_REASONS]]
            bar.update(task, total=progress.planned, completed=progress.acknowledged, now=", ".join(parts))

        yield show


def _counted(number: int, good: bool) -> str:
    return f"[{'green' if good else 'bold red'}]{number:,}[/]"


def _megabytes_per_second(result: LoadResult) -> float:
    return result.acknowledged_bytes / 1e6 / result.seconds if result.seconds else 0.0
