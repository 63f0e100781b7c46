"""Orthanc's filesystem storage area: ``<root>/<uuid[0:2]>/<uuid[2:4]>/<uuid>`` (interop/ingest.md 10).

Invariants:

* A file is created under its final name and never opened for writing again; its UUID is new, so nobody can look for
  it before a row in the index names it.
* `make_durable` returns when files and the folders on the way to them are on the medium (`durability.py`).
* A folder may vanish between its creation and its use, because a removal elsewhere found it empty; creation tries
  again.
"""

import logging
import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from cluster.database import ALONE, Accompanying
from cluster.errors import StorageFailed, StorageFull, UnknownResource
from cluster.storage import durability
from cluster.storage.area import DICOM, IncomingAttachment
from cluster.storage.health import Health
from cluster.storage.memory_budget import MemoryBudget
from cluster.storage.names import Names, RandomNames
from cluster.storage.spool import FULL, Spool

_LOG = logging.getLogger(__name__)

_CREATE_ATTEMPTS = 3


class FilesystemStorageArea:
    """The storage area of one process; see `cluster.storage.area.StorageArea` for what the methods promise."""

    def __init__(
        self,
        root: Path,
        *,
        names: Names | None = None,
        sync: bool = True,
        memory: MemoryBudget | None = None,
        streaming_threshold: int = 1 << 20,
    ) -> None:
        """
        Args:
            root: option StorageDirectory; created if missing.
            names: where UUIDs come from; random ones without.
            sync: option SyncStorageArea; without it durability is the operator's business.
            memory: budget of the bytes held in memory by all attachments together.
            streaming_threshold: bytes of one attachment from which on it goes to its file while being received.
        """
        self.root = root
        self.health = Health()
        self._names = names or RandomNames()
        self._memory = memory or MemoryBudget(64 << 20)
        self._streaming_threshold = streaming_threshold
        with storage_errors(root):
            root.mkdir(parents=True, exist_ok=True)
            self._sync = durability.choose(root) if sync else None

    def create(self, kind: int = DICOM) -> "IncomingFile":
        """A new attachment, in memory until it is large or `finish` is called; all types lie together."""
        uuid = self._names.take()
        return IncomingFile(uuid, self.path_of(uuid), self._names, self._memory, self._streaming_threshold, self.health)

    def make_durable(self, attachments: Sequence[IncomingAttachment]) -> None:
        """One flush for the batch where the file system allows it; raises StorageFailed or StorageFull."""
        if self._sync is not None:
            with storage_errors(self.root, self.health, sum(attachment.size for attachment in attachments)):
                self._sync([self.path_of(attachment.uuid) for attachment in attachments])

    def accompanying(self, owned: Sequence[tuple[IncomingAttachment, str]]) -> Accompanying:
        """Nothing: files are durable before the transaction."""
        return ALONE

    def open(self, uuid: str) -> BinaryIO:
        """The file, for reading; raises UnknownResource or StorageFailed."""
        path = self.path_of(uuid)
        try:
            return path.open("rb")
        except FileNotFoundError as error:
            raise UnknownResource(f"attachment {uuid} is not in the storage area") from error
        except OSError as error:
            raise StorageFailed(f"{path}: {error.strerror}") from error

    def remove(self, uuid: str) -> None:
        """Unlink the file, then its two folders if that left them empty; raises StorageFailed."""
        path = self.path_of(uuid)
        with storage_errors(path):
            _remove(path)

    def remove_all(self, uuids: Sequence[str]) -> list[str]:
        """One after the other; what is no UUID counts as gone, as no file can have such a name."""
        return [uuid for uuid in uuids if self._is_removed(uuid)]

    def probe(self) -> None:
        """Reserve as much as was refused in a file without a name, which nobody sees and a crash does not leave."""
        try:
            with tempfile.TemporaryFile(dir=self.root) as file:
                os.posix_fallocate(file.fileno(), 0, self.health.wanted_bytes)
        except OSError as error:
            self.health.failed(str(_storage_error(self.root, error)))
        else:
            self.health.recovered()

    def _is_removed(self, uuid: str) -> bool:
        try:
            self.remove(uuid)
        except UnknownResource as error:
            _LOG.warning("nothing to remove for a deleted attachment: %s", error)
        except StorageFailed as error:
            _LOG.warning("the file of a deleted attachment will be removed later: %s", error)
            return False
        return True

    def age_of(self, uuid: str) -> float | None:
        """Seconds since the file was last written to, by this machine's clock; None without a file."""
        path = self.path_of(uuid)
        try:
            return max(0.0, time.time() - path.stat().st_mtime)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StorageFailed(f"{path}: {error.strerror}") from error

    def path_of(self, uuid: str) -> Path:
        """Where the attachment lies; raises UnknownResource for what is no UUID."""
        if len(uuid) != 36 or not uuid.replace("-", "").isalnum():
            raise UnknownResource(f"{uuid!r} is not the UUID of an attachment")
        return self.root / uuid[0:2] / uuid[2:4] / uuid


class IncomingFile(Spool):
    """An attachment that is being received; see `cluster.storage.area.IncomingAttachment`."""

    def __init__(
        self,
        uuid: str,
        path: Path,
        names: Names,
        memory: MemoryBudget,
        streaming_threshold: int,
        health: Health,
    ) -> None:
        super().__init__(uuid, names, memory, streaming_threshold)
        self._path = path
        self._health = health

    def finish(self) -> None:
        """Write what is in memory to the file and close it."""
        self._spill()
        self.forget()

    def discard(self) -> None:
        """Remove the file, if there is one."""
        with suppress(StorageFailed, StorageFull):
            self.forget()
        try:
            _remove(self._path)
        except OSError:
            self._discarded(is_gone=False)
        else:
            self._discarded(is_gone=True)

    def _create_file(self) -> BinaryIO:
        """Under its final name, so that nothing has to be moved."""
        return _create(self._path)

    def _file_errors(self) -> AbstractContextManager[None]:
        return storage_errors(self._path, self._health, self.size)


def _create(path: Path) -> BinaryIO:
    for _ in range(_CREATE_ATTEMPTS):
        # An archive of any size has the folder already.
        with suppress(FileNotFoundError):
            return path.open("x+b")
        path.parent.mkdir(parents=True, exist_ok=True)
    return path.open("x+b")


def _remove(path: Path) -> None:
    """Unlink a file, which may be missing, then its two folders if that left them empty."""
    path.unlink(missing_ok=True)
    with suppress(OSError):
        path.parents[0].rmdir()
        path.parents[1].rmdir()


@contextmanager
def storage_errors(path: Path, health: Health | None = None, size: int = 0) -> Iterator[None]:
    """Inside the block the system's errors become ours, and `health` is told if `size` bytes could not be stored."""
    try:
        yield
    except OSError as error:
        ours = _storage_error(path, error)
        if health is not None:
            health.failed(str(ours), size)
        raise ours from error


def _storage_error(path: Path, error: OSError) -> StorageFull | StorageFailed:
    if error.errno in FULL:
        return StorageFull(f"the storage area is full: {path}: {error.strerror}")
    return StorageFailed(f"{path}: {error.strerror}")
