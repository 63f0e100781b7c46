"""The processes of the cluster under test, each with links to what it asks; nodes have some at their doors."""

import contextlib
import json
import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from workers.local.cluster import is_ready
from workers.local.processes import ManagedProcess
from workers.prove.doors import Door
from workers.prove.wire import Wire
from workers.prove.wrong_clock import Clock

_STAT_PARENT = 1
"""Which word of /proc/PID/stat after the name, counted from 0 (proc(5))."""


@dataclass(slots=True)
class Member:
    """One process; `failpoints` are armed at its next start, and gone at the one after."""

    name: str
    process: ManagedProcess
    configuration: Path
    document: dict[str, Any]
    http_port: int
    links: dict[str, Wire]
    clock: Clock | None = None
    """If it can be wrong."""
    failpoints: dict[str, str] = field(default_factory=dict)

    @property
    def door(self) -> Door:
        """Where clients reach it: through its wires."""
        return Door(self.links["DICOM"].port, self.links["HTTP"].port)

    @property
    def ready(self) -> bool:
        """Whether it says so itself, asked without a wire."""
        return is_ready(self.http_port)

    def configure(self) -> None:
        """Write the configuration of the next start."""
        armed, self.failpoints = self.failpoints, {}
        cluster = self.document["Cluster"] | {"NodeName": self.name, "Failpoints": armed}
        self.configuration.write_text(json.dumps(self.document | {"Cluster": cluster}), "utf-8")

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the process group, if it runs."""
        if self.process.pid is not None and self.process.running:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, number)


def processes_of(pid: int) -> list[tuple[int, str]]:
    """A process and everything below it that runs, each with its command line (Linux)."""
    children: dict[int, list[int]] = {}
    for found, parent in _all_processes():
        children.setdefault(parent, []).append(found)
    family, left = [], [pid]
    while left:
        each = left.pop()
        with contextlib.suppress(OSError):
            words = Path(f"/proc/{each}/cmdline").read_bytes().decode(errors="replace")
            if words:  # else it has ended, and nobody has taken notice yet
                family.append((each, words.replace("\0", " ").strip()))
        left += children.get(each, [])
    return sorted(family)


def _all_processes() -> Iterator[tuple[int, int]]:
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            with contextlib.suppress(OSError):
                words = (folder / "stat").read_text("utf-8", "replace").rpartition(")")[2].split()
                yield int(folder.name), int(words[_STAT_PARENT])
