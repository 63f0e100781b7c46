"""``python -m benchmarks.memory``: see README.md."""

import re
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

import click

from benchmarks.figures import Display, Part
from benchmarks.ingest.cpu import family
from benchmarks.ingest.machine import load_average, machine, own_server
from benchmarks.ingest.ours import our_cluster
from benchmarks.ingest.outcome import common_options, finish
from benchmarks.large_instances import by_c_store, by_http
from benchmarks.parts import parts_option
from workers.local.postgresql import LocalPostgreSQL

_WANTED_MEGABYTES = 512
_SAMPLE_SECONDS = 0.1
_ROOM = 1.5
"""Times the bytes of all instances that have to be free on the disk."""


class MemoryWatch:
    """Looks at all processes of a node several times a second. Context manager; numbers are megabytes.

    Attributes:
        peak: the highest sum of PSS, in which memory shared by several processes counts once; page cache does not.
        high_water: the sum of what each process had resident at most (VmHWM), at the last look: an upper limit that
            no look can have missed, with shared memory in it several times.
    """

    def __init__(self, pid: int) -> None:
        self.peak = 0.0
        self.high_water = 0.0
        self.processes = 0
        self._pid = pid
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="memory-watch", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()
        self._look()

    def _watch(self) -> None:
        while not self._stopped.wait(_SAMPLE_SECONDS):
            self._look()

    def _look(self) -> None:
        pids = family([self._pid])
        self.processes = max(self.processes, len(pids))
        self.peak = max(self.peak, sum(_kilobytes(f"/proc/{pid}/smaps_rollup", "Pss") for pid in pids) / 1024)
        high_water = sum(_kilobytes(f"/proc/{pid}/status", "VmHWM") for pid in pids) / 1024
        self.high_water = max(self.high_water, high_water)


def _kilobytes(file: str, name: str) -> int:
    """One number out of a file of /proc; 0 for a process that is gone."""
    try:
        found = re.search(rf"^{name}:\s+(\d+) kB$", Path(file).read_text(), re.MULTILINE)
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return int(found[1]) if found else 0


@click.command()
@click.option("--instances", default=10, show_default=True, help="At the same time.")
@click.option("--megabytes", default=1_000, show_default=True, help="Of each.")
@parts_option("dicom", "http")
@common_options
def main(
    instances: int, megabytes: int, names: Sequence[str], repeat: int, smoke: bool, json_file: Path | None
) -> None:
    """Measure the memory of a node that receives very large instances at the same time."""
    before = load_average()
    if smoke:
        megabytes, repeat = 50, 1
    free = shutil.disk_usage(tempfile.gettempdir()).free / 10**6
    if free < _ROOM * instances * megabytes:
        raise click.ClickException(f"{_ROOM * instances * megabytes:,.0f} MB are needed in the temporary folder")
    display = Display()
    found: dict[str, Part] = {}
    with own_server() as server:
        for name in names:
            with display.part(name):
                runs = [_run(server, name, instances, megabytes * 10**6, display.tell) for _ in range(repeat)]
            found[name] = _judged(runs, instances, megabytes)
        where = machine(server, before)
    sys.exit(finish("memory", found, where, smoke=smoke, json_file=json_file))


@dataclass(frozen=True, slots=True)
class _Run:
    """What one run found; memory in megabytes."""

    idle: float
    peak: float
    high_water: float
    processes: int
    stored: int
    gigabytes: float
    seconds: float


def _run(server: LocalPostgreSQL, door: str, instances: int, size: int, tell: Callable[[str], None]) -> _Run:
    # The folder of the files goes with the cluster, before the next run needs the room.
    with our_cluster(server) as ours:
        [node] = ours.processes
        assert node.pid is not None
        with MemoryWatch(node.pid) as idle:
            time.sleep(5 * _SAMPLE_SECONDS)
        tell(f"{instances} instances of {size / 1e6:.0f} MB")
        began = time.monotonic()
        with MemoryWatch(node.pid) as watch:
            if door == "dicom":
                by_c_store(ours.dicom[0], instances, size)
            else:
                by_http(ours.http[0], instances, size)
        seconds = time.monotonic() - began
        on_disk = sum(file.stat().st_size for file in ours.storage.glob("??/??/*"))
        stored = ours.stored()
    return _Run(idle.peak, watch.peak, watch.high_water, watch.processes, stored, on_disk / 1e9, seconds)


def _judged(runs: Sequence[_Run], instances: int, megabytes: int) -> Part:
    part = Part(sizes={"instances": instances, "megabytes": megabytes, "runs": len(runs)})
    peak = max(run.peak for run in runs)
    stored, gigabytes = min(run.stored for run in runs), min(run.gigabytes for run in runs)
    is_whole = stored == instances and gigabytes >= instances * megabytes / 1e3
    part.add("instances in the index, with all bytes", str(instances), f"{stored}, {gigabytes:.2f} GB", is_whole)
    part.add(
        f"peak of {instances} instances of {megabytes} MB at the same time (sum of PSS)",
        f"<= {_WANTED_MEGABYTES} MB",
        f"{peak:.0f} MB ({runs[0].idle:.0f} MB when idle)",
        peak <= _WANTED_MEGABYTES,
    )
    part.details["runs"] = [
        {name: round(value, 2) for name, value in asdict(run).items()}
        | {"megabytes_per_second": round(1000 * run.gigabytes / run.seconds)}
        for run in runs
    ]
    return part


if __name__ == "__main__":
    main()
