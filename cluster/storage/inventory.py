"""What lies in a storage directory: listed folder by folder, or set aside."""

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from cluster.storage.filesystem import FilesystemStorageArea, storage_errors

FOLDERS = 256
"""Of each of the two levels, named by two hexadecimal digits."""


_DIGITS = frozenset("0123456789abcdef")


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file under the name of an attachment; size in bytes, time of the last modification in seconds since 1970."""

    uuid: str
    size: int
    modified: float


def stored_files(root: Path, begin: int, end: int) -> Iterator[StoredFile]:
    """Files whose names begin with four hexadecimal digits from `begin` on and below `end`.

    What has another name, or lies elsewhere, is somebody else's. Files and folders may go while this looks.

    Raises:
        StorageFailed: a folder cannot be read.
    """
    for first in range(begin // FOLDERS, -(-end // FOLDERS)):
        folder = root / f"{first:02x}"
        for name in sorted(entry.name for entry in _entries(folder)):
            digits = f"{first:02x}{name}"
            if len(name) == 2 and _DIGITS.issuperset(name) and begin <= int(digits, 16) < end:
                yield from _files(folder / name, digits)


def _files(folder: Path, digits: str) -> Iterator[StoredFile]:
    for entry in _entries(folder):
        if len(entry.name) == 36 and entry.name.startswith(digits):
            with storage_errors(folder), suppress(FileNotFoundError):
                status = entry.stat(follow_symlinks=False)
                yield StoredFile(entry.name, status.st_size, status.st_mtime)


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    with storage_errors(folder):
        try:
            return list(os.scandir(folder))
        except (FileNotFoundError, NotADirectoryError):
            return []


def set_aside(area: FilesystemStorageArea, uuid: str, folder: Path) -> None:
    """Move a file out of the storage area, into a folder of the same file system; a missing one is no error.

    Raises:
        StorageFailed: it cannot be moved there.
    """
    with storage_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        try:
            os.rename(area.path_of(uuid), folder / uuid)
        except FileNotFoundError:
            return
    area.remove(uuid)  # the folders that this left empty
