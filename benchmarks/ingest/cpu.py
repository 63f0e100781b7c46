"""CPU time of groups of processes, from /proc."""

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


@dataclass(slots=True)
class CpuUsed:
    """CPU seconds by part, user and system together; filled when the block of `metered` ends."""

    seconds: dict[str, float] = field(default_factory=dict)

    def milliseconds_each(self, instances: int) -> dict[str, float]:
        """Of one of that many instances, by part."""
        return {part: 1000 * seconds / instances for part, seconds in self.seconds.items()}


@contextmanager
def metered(parts: Mapping[str, Iterable[int]]) -> Iterator[CpuUsed]:
    """Measure what happens in the block.

    Args:
        parts: for each part the process ids that stand for it; their children count too, those that have ended as well.
    """
    roots = {part: list(pids) for part, pids in parts.items()}
    before = {part: cpu_seconds(pids) for part, pids in roots.items()}
    used = CpuUsed()
    yield used
    used.seconds = {part: cpu_seconds(pids) - before[part] for part, pids in roots.items()}


def cpu_seconds(roots: Iterable[int]) -> float:
    """What these processes and all their descendants have used so far.

    A process that has been waited for is in the numbers of its parent (proc(5): cutime, cstime), so nothing is lost or
    counted twice when one ends between two looks.
    """
    ticks = 0
    for pid in family(roots):
        fields = _stat(pid)
        ticks += sum(map(int, fields[11:15]))
    return ticks / _TICKS_PER_SECOND


def family(roots: Iterable[int]) -> set[int]:
    """These processes and all their descendants."""
    children: dict[int, list[int]] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            fields = _stat(int(folder.name))
            children.setdefault(int(fields[1]), []).append(int(folder.name))
    found: set[int] = set()
    todo = list(roots)
    while todo:
        pid = todo.pop()
        if pid not in found:
            found.add(pid)
            todo += children.get(pid, [])
    return found


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the third (state) on; zeros for a process that is gone."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ["0"] * 52
    return text.rpartition(")")[2].split()
