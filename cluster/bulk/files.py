"""Walking folders and archives, and cutting what is found into chunks.

The order is that of the names, so that two walks of the same tree find the same. A folder is walked once, however
many symbolic links lead to it; a link that leads back up ends there.
"""

import errno
import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from cluster.bulk.archive import SUFFIX, list_archive
from cluster.bulk.entries import ImportFile, Refusal

MAXIMUM_CHUNK_FILES = 50
MAXIMUM_CHUNK_BYTES = 64 << 20

Found = tuple[ImportFile, int] | Refusal
"""A file with its size in bytes, or why it cannot be read."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """Work for one worker: files to read, or else refusals that the walk has settled already."""

    files: tuple[ImportFile, ...] = ()
    refusals: tuple[Refusal, ...] = ()


def why_unusable(path: Path) -> str | None:
    """Why an import of `path` cannot even begin: it is missing, unreadable or not a file or folder."""
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            with os.scandir(path) as entries:
                next(entries, None)
        elif stat.S_ISREG(mode):
            with path.open("rb") as file:
                file.read(1)
        else:
            return "neither a file nor a folder"
    except OSError as error:
        return error.strerror or str(error)
    return None


def walk(paths: Iterable[Path]) -> Iterator[Found]:
    """Every file below `paths`, members of ZIP archives (by suffix) included; failures are found, not raised."""
    seen: set[tuple[int, int]] = set()
    for path in paths:
        # A stack instead of recursion: trees may be deeper than Python's calls.
        left = [os.path.abspath(path)]
        while left:
            entry = left.pop()
            try:
                status = os.stat(entry)
                if stat.S_ISDIR(status.st_mode):
                    key = (status.st_dev, status.st_ino)
                    if key not in seen:
                        seen.add(key)
                        left += [os.path.join(entry, name) for name in sorted(os.listdir(entry), reverse=True)]
                else:
                    yield from _file(entry, status)
            except OSError as error:
                yield Refusal(ImportFile(entry), "failed", _reason(entry, error))


def cut(found: Iterable[Found]) -> Iterator[Chunk]:
    """Chunks of at most `MAXIMUM_CHUNK_FILES` files or about `MAXIMUM_CHUNK_BYTES`, whichever comes first."""
    files: list[ImportFile] = []
    refusals: list[Refusal] = []
    chunk_bytes = 0
    for item in found:
        if isinstance(item, Refusal):
            refusals.append(item)
            if len(refusals) == MAXIMUM_CHUNK_FILES:
                yield Chunk(refusals=tuple(refusals))
                refusals = []
            continue
        file, size = item
        if files and chunk_bytes + size > MAXIMUM_CHUNK_BYTES:
            yield Chunk(tuple(files))
            files, chunk_bytes = [], 0
        files.append(file)
        chunk_bytes += size
        if len(files) == MAXIMUM_CHUNK_FILES:
            yield Chunk(tuple(files))
            files, chunk_bytes = [], 0
    if files:
        yield Chunk(tuple(files))
    if refusals:
        yield Chunk(refusals=tuple(refusals))


def _file(path: str, status: os.stat_result) -> Iterator[Found]:
    if not stat.S_ISREG(status.st_mode):
        # Opening a pipe would wait for its other end.
        yield Refusal(ImportFile(path), "not_dicom", "not a regular file")
    elif path.lower().endswith(SUFFIX):
        yield from list_archive(path)
    else:
        yield ImportFile(path), status.st_size


def _reason(path: str, error: OSError) -> str:
    if error.errno in (errno.ENOENT, errno.ELOOP) and os.path.islink(path):
        return "symbolic link that leads nowhere"
    return error.strerror or str(error)
