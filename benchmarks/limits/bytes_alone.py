"""Bytes alone: files written and made durable by our storage area, and the same bytes by bare system calls."""

import itertools
import os
import statistics
import time
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.figures import Part
from cluster.storage.durability import SyncFileSystem, file_system_of
from cluster.storage.filesystem import FilesystemStorageArea

SIZES = {"30 KB": 30_000, "526 KB": 526_000}
_BATCHES = (16, 64)
_MEGABYTES = 32
"""In each round, so that rounds of small and large files take about as long."""

Tell = Callable[[str], None]
Write = Callable[[Sequence[bytes]], None]


def bytes_alone(folder: Path, rounds: int, is_smoke: bool, tell: Tell) -> Part:
    """Measure on the file system that `folder` is on; the ways take turns."""
    part = Part(sizes={"rounds": rounds, "file_system": file_system_of(folder)})
    for (name, size), batch in itertools.product(SIZES.items(), _BATCHES):
        count = batch if is_smoke else max(batch, _MEGABYTES * 10**6 // size // batch * batch)
        block = os.urandom(size)
        # Different in each file; a medium that finds out duplicates would not write them.
        batches = [
            [number.to_bytes(8, "big") + block[8:] for number in range(start, start + batch)]
            for start in range(0, count, batch)
        ]
        rates = _rates(folder, f"{name}, batches of {batch}", batches, rounds, tell)
        ours, each, together = (statistics.median(rates[way]) for way in ("ours", "fsync each", "syncfs a batch"))
        part.add(
            f"{name}, batches of {batch}: files/s against fsync of each, one syncfs a batch",
            "",
            f"{ours / each:.1f} x, {ours / together:.2f} x: {ours:,.0f} of {each:,.0f}, {together:,.0f}",
            met=True,
            is_speed=True,
        )
        part.details[f"{name}, batches of {batch}"] = {way: round(statistics.median(rates[way])) for way in rates}
    return part


def _rates(
    folder: Path, name: str, batches: Sequence[Sequence[bytes]], rounds: int, tell: Tell
) -> dict[str, list[float]]:
    """Files per second of each round, by way."""
    area = FilesystemStorageArea(folder / f"ours-{name}")
    ways: dict[str, Write] = {
        "ours": lambda batch: _ours(area, batch),
        "fsync each": _Bare(folder / f"each-{name}", is_each_synced=True),
        "syncfs a batch": _Bare(folder / f"together-{name}"),
        "syncfs a batch, Orthanc's folders": _Bare(folder / f"folders-{name}", has_folders=True),
    }
    rates: dict[str, list[float]] = {way: [] for way in ways}
    for number in range(-1, rounds):
        for way, write in ways.items():
            tell(f"{name}: round {max(number + 1, 0)} of {rounds}, {way}")
            began = time.perf_counter()
            for batch in batches:
                write(batch)
            if number >= 0:
                rates[way].append(sum(map(len, batches)) / (time.perf_counter() - began))
    return rates


def _ours(area: FilesystemStorageArea, batch: Sequence[bytes]) -> None:
    attachments = [area.create() for _ in batch]
    for attachment, data in zip(attachments, batch, strict=True):
        attachment.write(data)
        attachment.finish()
    area.make_durable(attachments)


class _Bare:
    """open, write, close, and as many flushes as wanted; no checksum.

    All files in one folder, or each in two of its own, as Orthanc has them: in a new archive nearly every file makes
    both, in an old one none.
    """

    def __init__(self, folder: Path, *, is_each_synced: bool = False, has_folders: bool = False) -> None:
        folder.mkdir()
        self._folder = folder
        self._is_each_synced = is_each_synced
        self._has_folders = has_folders
        self._sync = SyncFileSystem(folder)

    def __call__(self, batch: Sequence[bytes]) -> None:
        paths = [self._new_path() for _ in batch]
        for path, data in zip(paths, batch, strict=True):
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
            try:
                os.write(descriptor, data)
                if self._is_each_synced:
                    os.fsync(descriptor)
            finally:
                os.close(descriptor)
        if not self._is_each_synced:
            self._sync(paths)

    def _new_path(self) -> Path:
        name = str(uuid.uuid4())
        if not self._has_folders:
            return self._folder / name
        parent = self._folder / name[0:2] / name[2:4]
        parent.mkdir(parents=True, exist_ok=True)
        return parent / name
