"""Files that jobs leave behind, such as ZIP archives: a folder of their own beside the attachments.

``<root>/cluster-jobs/<name>``. A real Orthanc looks only below the folders that begin a UUID. A name is never used
twice, so that whoever wrote too late cannot touch what counts.
"""

import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from cluster.errors import StorageFailed, UnknownResource
from cluster.storage.filesystem import storage_errors

FOLDER = "cluster-jobs"

_NAME = re.compile(r"[0-9a-f-]{36}-[0-9]{1,10}")


class JobOutputs:
    """The folder as one process sees it; created when it is needed first."""

    def __init__(self, storage_directory: Path, *, sync: bool = True) -> None:
        self._folder = storage_directory / FOLDER
        self._sync = sync

    @contextmanager
    def create(self, name: str) -> Iterator[BinaryIO]:
        """A new file, durable when the block ends; removed if the block raises.

        Raises:
            StorageFull, StorageFailed.
        """
        path = self._path(name)
        try:
            with storage_errors(path):
                self._folder.mkdir(parents=True, exist_ok=True)
                with path.open("xb") as file:
                    yield file
                    file.flush()
                    if self._sync:
                        os.fsync(file.fileno())
                if self._sync:
                    _sync_folder(self._folder)
        except BaseException:
            with suppress(OSError):
                path.unlink(missing_ok=True)
            raise

    def open(self, name: str) -> BinaryIO:
        """The file, for reading; raises UnknownResource or StorageFailed."""
        path = self._path(name)
        try:
            return path.open("rb")
        except FileNotFoundError as error:
            raise UnknownResource(
                f"the output of this job is not in {self._folder}, which all nodes and workers must share"
            ) from error
        except OSError as error:
            raise StorageFailed(f"{path}: {error.strerror}") from error

    def collect(self, live: Callable[[Sequence[str]], set[str]]) -> int:
        """Remove every file that is not among the `live` ones of those that are there; returns how many.

        The files are looked up before the question is asked, so that one that is created meanwhile is not met.
        """
        try:
            names = [name for name in os.listdir(self._folder) if _NAME.fullmatch(name)]
        except FileNotFoundError:
            return 0
        except OSError as error:
            raise StorageFailed(f"{self._folder}: {error.strerror}") from error
        gone = set(names) - live(names) if names else set()
        for name in gone:
            path = self._path(name)
            with storage_errors(path):
                path.unlink(missing_ok=True)
        return len(gone)

    def _path(self, name: str) -> Path:
        if not _NAME.fullmatch(name):
            raise UnknownResource("no such output")
        return self._folder / name


def _sync_folder(folder: Path) -> None:
    for path in (folder, folder.parent):
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
