"""What some faults need beside nodes and servers: a second PostgreSQL, a disk that can be full, an Orthanc."""

import contextlib
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from workers.prove.databases import standby_is_possible
from workers.prove.guest import OrthancFiles, find_orthanc

_FOLDERS = [f"f{digit:x}" for digit in range(16)]
"""Of the storage area, by the first two digits of a UUID: one attachment in sixteen is on the small disk."""


@dataclass(frozen=True, slots=True)
class Equipment:
    """What a stage is equipped with beside nodes and servers."""

    standby: bool = False
    clocks: bool = False
    """That of one node and that of the workers can be wrong."""
    small_disk_bytes: int = 0
    orthanc: OrthancFiles | None = None
    importers: int = 0


def why_not(fault: str, *, own_mounts: bool) -> str | None:
    """Why the fault of that name cannot be had here; None if it can."""
    match fault:
        case "failed over":
            return standby_is_possible()
        case "standby restarted":
            return standby_is_possible()
        case "disk full":
            return None if own_mounts else "nothing can be mounted (it needs root and unshare)"
        case "Orthanc beside":
            return None if find_orthanc() else "Orthanc or its plugin for PostgreSQL is not installed"
        case "process killed" | "process stopped":
            return None if Path("/proc/self/stat").exists() else "there is no /proc"
    return None


def equipment_for(faults: frozenset[str], seconds: float, importers: int) -> Equipment:
    """What these faults need, in a run of that many seconds."""
    return Equipment(
        standby=bool(faults & {"failed over", "standby restarted"}),
        clocks="clock jumped" in faults,
        # What is stored there has to fit as long as the disk is not to be full.
        small_disk_bytes=(64 << 20) + int(seconds) * 100_000 if "disk full" in faults else 0,
        orthanc=find_orthanc() if "Orthanc beside" in faults else None,
        importers=importers,
    )


class SmallDisk:
    """A tmpfs under some folders of the storage area, the same for every process of the run. Context manager."""

    def __init__(self, folder: Path, storage_directory: Path, size_bytes: int) -> None:
        self._folder = folder
        self._storage = storage_directory
        self._size_bytes = size_bytes
        self._ballast = folder / "ballast"
        self._mounted = contextlib.ExitStack()

    def __enter__(self) -> Self:
        self._folder.mkdir()
        self._mount(["-t", "tmpfs", "-o", f"size={self._size_bytes}", "none"], self._folder)
        for name in _FOLDERS:
            (self._folder / name).mkdir()
            (self._storage / name).mkdir()
            self._mount(["--bind", str(self._folder / name)], self._storage / name)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # What is read when the run is over has to be read before: with the mounts their files are gone.
        self._mounted.close()

    @contextlib.contextmanager
    def full(self) -> Iterator[None]:
        """Inside the block there is no space."""
        try:
            with self._ballast.open("wb", buffering=0) as ballast:
                self._fill(ballast.fileno())
            yield
        finally:
            self._ballast.unlink(missing_ok=True)

    def _fill(self, ballast: int) -> None:
        """Until not even a block is to be had: others take and free some meanwhile."""
        status = os.statvfs(self._folder)
        blocks, filled = status.f_bavail, 0
        while blocks:
            try:
                os.posix_fallocate(ballast, filled * status.f_frsize, blocks * status.f_frsize)
            except OSError:
                blocks //= 2
            else:
                filled += blocks

    def _mount(self, options: list[str], place: Path) -> None:
        subprocess.run(["mount", *options, str(place)], check=True, capture_output=True)
        self._mounted.callback(subprocess.run, ["umount", "--lazy", str(place)], check=False, capture_output=True)
