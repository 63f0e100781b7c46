"""What ``orthanc-cluster schema upgrade`` shows: one bar for the whole upgrade, a line for each step."""

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from cluster.schema import progress


class UpgradeDisplay:
    """On standard error, so that --json stays JSON; a context manager."""

    def __init__(self, *, quiet: bool) -> None:
        self._console = Console(stderr=True, quiet=quiet)
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=self._console,
        )
        self._task = self._bar.add_task("upgrade", total=1.0)
        self._waits_for = ""

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self._bar.update(self._task, completed=1.0)
        self._bar.stop()

    def step(self, name: str) -> None:
        """A step begins."""
        self._say(name)

    def waits(self, reason: str) -> None:
        """Why nothing goes on; said once, however often it is told."""
        topic = reason.partition(",")[0]
        if topic != self._waits_for:
            self._waits_for = topic
            self._say(reason)

    def show(self, found: progress.Progress | None) -> None:
        """How far it is."""
        if found is not None and found.current is not None:
            self._bar.update(self._task, completed=found.fraction, description=found.current.name)

    def _say(self, text: str) -> None:
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)
