"""Making new files survive a power failure, many at a time.

On a local journaling file system one `syncfs` writes all of a batch, files and folders, with one flush of the journal;
fsync would pay for each. It also writes whatever else is dirty on that file system, and reports an error of any of it
(since Linux 5.8), so it is neither for network file systems, where it may do nothing, nor for old kernels: there each
file and folder gets its own fsync, side by side.
"""

import ctypes
import os
import platform
import re
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

_LOCAL_FILE_SYSTEMS = frozenset({"ext4", "xfs", "btrfs"})
_THREADS = 8

Sync = Callable[[Sequence[Path]], None]
"""Makes files durable that are three folders below the root of the storage area; raises OSError."""


def choose(root: Path) -> Sync:
    """The quickest way that is safe for the file system that `root` is on."""
    if file_system_of(root) in _LOCAL_FILE_SYSTEMS and _kernel() >= (5, 8):
        return SyncFileSystem(root)
    return SyncEachFile()


class SyncFileSystem:
    """`syncfs(2)` on the file system of `root`."""

    def __init__(self, root: Path) -> None:
        self._syncfs = ctypes.CDLL(None, use_errno=True).syncfs
        self._root = root

    def __call__(self, paths: Sequence[Path]) -> None:
        """One flush for all files, whatever their number."""
        # Opened each time: an error since the opening would otherwise be missed or told twice.
        descriptor = os.open(self._root, os.O_RDONLY | os.O_DIRECTORY)
        try:
            if self._syncfs(descriptor) != 0:
                number = ctypes.get_errno()
                raise OSError(number, os.strerror(number), str(self._root))
        finally:
            os.close(descriptor)


class SyncEachFile:
    """fsync of every file, then of every folder on the way to it, by a few threads."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="fsync")

    def __call__(self, paths: Sequence[Path]) -> None:
        """Files first, then folders from the leaves up: a name never outlives what it leads to.

        A folder that existed already is included: another node may have made it a moment ago, not synced yet.
        """
        self._all(paths)
        for level in range(3):
            self._all({path.parents[level] for path in paths})

    def _all(self, paths: Iterable[Path]) -> None:
        for _ in self._threads.map(_fsync, paths):
            pass


def file_system_of(path: Path) -> str:
    """Type of the file system that a path is on, as in /proc/self/mountinfo; empty where that cannot be told."""
    try:
        lines = Path("/proc/self/mountinfo").read_text("utf-8").splitlines()
    except OSError:
        return ""
    device = os.stat(path).st_dev
    wanted = f"{os.major(device)}:{os.minor(device)}"
    for line in lines:
        mount, _, source = line.partition(" - ")
        if mount.split()[2] == wanted:
            return source.split()[0]
    return ""


def _kernel() -> tuple[int, int]:
    match = re.match(r"(\d+)\.(\d+)", platform.release()) if platform.system() == "Linux" else None
    return (int(match[1]), int(match[2])) if match else (0, 0)


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
