"""Where an ingest benchmark ran: the machine, what else it did, and the versions of all programs."""

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks import figures
from benchmarks.ingest.senders import NotInstalled, dcmtk_version
from workers.local.postgresql import LocalPostgreSQL

SETTINGS = ("shared_buffers", "max_wal_size", "synchronous_commit", "wal_sync_method", "full_page_writes")


def load_average() -> list[float]:
    """Of the last 1, 5 and 15 minutes: take it before the benchmark makes its own."""
    return [round(value, 2) for value in os.getloadavg()]


def machine(
    server: LocalPostgreSQL, load_before: list[float], versions: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """`figures.machine` with more; `versions` are those of the systems compared."""
    found = figures.machine(server, SETTINGS)
    try:
        dcmtk = {"dcmtk": dcmtk_version()}
    except NotInstalled:
        dcmtk = {}
    return found | {
        "load_average_before": load_before,
        "file_system": _file_system(server.folder),
        "versions": {**dcmtk, **(versions or {})},
    }


@contextmanager
def own_server(folder: Path | None = None) -> Iterator[LocalPostgreSQL]:
    """A durable PostgreSQL that only this benchmark uses, in `folder` or a temporary one."""
    with (
        tempfile.TemporaryDirectory(prefix="benchmark-") as temporary,
        LocalPostgreSQL(folder or Path(temporary)) as server,
    ):
        yield server


def _file_system(folder: Path) -> str:
    """The type of the file system that holds `folder`: on tmpfs a sync costs nothing, so nothing was measured."""
    mounts = [line.split()[1:3] for line in Path("/proc/self/mounts").read_text().splitlines()]
    holding = [(len(at), kind) for at, kind in mounts if folder.resolve().is_relative_to(at)]
    return max(holding)[1] if holding else "unknown"
