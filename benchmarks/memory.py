"""``python -m benchmarks.memory``: see README.md."""

import re
import shutil
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import click

from benchmarks.ending import chosen, end
from benchmarks.figures import Display, Part
from benchmarks.ingest.cpu import family
from benchmarks.ingest.machine import load_average, machine, own_server
from benchmarks.ingest.ours import our_cluster
from benchmarks.large_instances import by_c_store, by_http
from workers.local.postgresql import LocalPostgreSQL

NAMES = ("dicom", "http")
_WANTED_MEGABYTES = 512
_SAMPLE_SECONDS = 0.1
_ROOM = 1.5
"""Times the bytes of all instances that have to be free on the disk."""

_PATH = click.Path(path_type=Path)


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
@click.option("--parts", "names", default=",".join(NAMES), show_default=True, help="Only these.")
@click.option("--smoke", is_flag=True, help="Instances of 50 MB: does it work at all?")
@click.option("--json", "json_file", type=_PATH, help="Where to write, instead of benchmarks/results.")
def main(instances: int, megabytes: int, names: str, smoke: bool, json_file: Path | None) -> None:
    """Measure the memory of a node that receives very large instances at the same time."""
    if smoke:
        megabytes = 50
    before = load_average()
    free = shutil.disk_usage(tempfile.gettempdir()).free / 10**6
    if free < _ROOM * instances * megabytes:
        raise click.ClickException(f"{_ROOM * instances * megabytes:,.0f} MB are needed in the temporary folder")
    display = Display()
    found: dict[str, Part] = {}
    versions: dict[str, str] = {}
    with own_server() as server:
        for name in chosen(names, NAMES):
            with display.part(name):
                found[name] = _measured(server, name, instances, megabytes, versions, display.tell)
        where = machine(server, before, versions)
    end("memory", found, where, smoke=smoke, json_file=json_file)


def _measured(
    server: LocalPostgreSQL,
    door: str,
    instances: int,
    megabytes: int,
    versions: dict[str, str],
    tell: Callable[[str], None],
) -> Part:
    part = Part(sizes={"instances": instances, "megabytes": megabytes})
    size = megabytes * 10**6
    # The folder of the files goes with the cluster, before the next door needs the room.
    with our_cluster(server) as ours:
        versions |= ours.versions
        [node] = ours.processes
        assert node.pid is not None
        with MemoryWatch(node.pid) as idle:
            time.sleep(5 * _SAMPLE_SECONDS)
        tell(f"{instances} x {megabytes} MB")
        began = time.monotonic()
        with MemoryWatch(node.pid) as watch:
            if door == "dicom":
                by_c_store(ours.dicom[0], instances, size)
            else:
                by_http(ours.http[0], instances, size)
        seconds = time.monotonic() - began
        stored = ours.stored()
        on_disk = sum(file.stat().st_size for file in ours.storage.glob("??/??/*"))
    details: dict[str, Any] = {
        "idle_megabytes": round(idle.peak),
        "high_water_megabytes": round(watch.high_water),
        "processes": watch.processes,
        "megabytes_per_second": round(instances * megabytes / seconds),
    }
    part.details |= details
    is_whole = stored == instances and on_disk >= instances * size
    part.add("instances in the index, with all bytes", f"{instances}", f"{stored}, {on_disk / 1e9:.2f} GB", is_whole)
    part.add(
        f"peak of {instances} x {megabytes} MB at the same time (sum of PSS)",
        f"<= {_WANTED_MEGABYTES} MB",
        f"{watch.peak:.0f} MB ({idle.peak:.0f} MB when idle)",
        watch.peak <= _WANTED_MEGABYTES,
    )
    return part


if __name__ == "__main__":
    main()
