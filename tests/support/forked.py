"""Many short-lived nodes at once, forked from one process that has imported everything (`many_nodes.py`)."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from workers.local.children import wait_until


@dataclass
class Command:
    """A command line of orthanc-cluster; its log and its exit status come as files into `folder`."""

    name: str
    folder: Path
    argv: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    is_all_logged: bool = False
    """At every level and of every library, which no option does."""

    has_defect: bool = False
    """Ends with an exception that nobody expects, and that shows the settings."""

    pid: int = 0

    @property
    def log(self) -> Path:
        return self.folder / f"{self.name}.log"

    @property
    def _status_file(self) -> Path:
        return self.folder / f"{self.name}.status"

    @property
    def status(self) -> int | None:
        """Exit status, negative for a signal; None before the end."""
        return int(self._status_file.read_text()) if self.has_ended else None

    @property
    def has_ended(self) -> bool:
        return self._status_file.exists() and self._status_file.read_text() != ""

    def signal(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    def as_case(self) -> dict[str, object]:
        """What `many_nodes` reads."""
        return {
            "argv": list(self.argv),
            "environment": dict(self.environment),
            "has_defect": self.has_defect,
            "is_all_logged": self.is_all_logged,
            "log": str(self.log),
            "status": str(self._status_file),
        }


@contextmanager
def forked(commands: Sequence[Command]) -> Iterator[None]:
    """All of them run inside; whoever still does after is killed."""
    program = [sys.executable, "-X", "faulthandler", "-m", "tests.support.many_nodes"]
    with subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as runner:
        assert runner.stdin is not None
        assert runner.stdout is not None
        try:
            runner.stdin.write(json.dumps([command.as_case() for command in commands]))
            runner.stdin.close()
            for command, pid in zip(commands, json.loads(runner.stdout.readline()), strict=True):
                command.pid = pid
            yield
        finally:
            runner.kill()


def all_have_ended(commands: Sequence[Command], seconds: float = 30) -> bool:
    """Wait for it."""
    return wait_until(lambda: all(command.has_ended for command in commands), seconds)
