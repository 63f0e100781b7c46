"""What ``orthanc-cluster import`` shows: a progress bar with counts, then a table."""

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from cluster.bulk import ledger
from cluster.bulk.entries import printable

_COUNTS = "stored {stored} · already stored {already_stored} · not DICOM {not_dicom} · failed {failed}"


def say(console: Console, text: str, style: str = "") -> None:
    """One message as it is: no markup in file names, no line broken inside a path."""
    console.print(printable(text), style=style, markup=False, highlight=False, soft_wrap=True)


class Display:
    """The progress bar; a context manager."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[counts]}"),
            TimeElapsedColumn(),
            console=console,
        )
        self._task = self._progress.add_task("looking for files", total=None, counts="")

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def show(self, progress: ledger.Progress, *, is_walked: bool) -> None:
        """Where the import is; how much there is in all is only known after the walk."""
        self._progress.update(
            self._task,
            description="importing" if is_walked else f"importing, {progress.files} files found so far",
            total=progress.files if is_walked else None,
            completed=progress.files_done,
            counts=_COUNTS.format(
                stored=progress.stored,
                already_stored=progress.already_stored,
                not_dicom=progress.not_dicom,
                failed=progress.failed,
            ),
        )

    def say(self, text: str) -> None:
        """A message above the bar."""
        say(self._progress.console, text, "yellow")


def table(progress: ledger.Progress, seconds: float) -> Table:
    """The counts at the end."""
    result = Table(title=f"{progress.files} files in {seconds:.1f} s")
    result.add_column("outcome")
    result.add_column("files", justify="right")
    for outcome, count in (
        ("stored", progress.stored),
        ("already stored", progress.already_stored),
        ("not DICOM", progress.not_dicom),
        ("failed", progress.failed),
    ):
        result.add_row(outcome, str(count), style="bold red" if outcome == "failed" and count else "")
    return result
