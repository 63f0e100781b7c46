"""Opening what a chunk names, on the machine of the worker."""

import os
import stat
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import IO, Self

from cluster.bulk import archive
from cluster.bulk.entries import ImportFile

PIECE_BYTES = 1 << 20


class UnreadableError(Exception):
    """A file of the chunk cannot be read here; the message says why."""


class Reader:
    """Opens the files of a chunk one after another; an archive stays open while its members follow each other."""

    def __init__(self, worker: str) -> None:
        """
        Args:
            worker: name of this machine's node, for messages: another one may see the file.
        """
        self._worker = worker
        self._archive: zipfile.ZipFile | None = None
        self._archive_path = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close_archive()

    def pieces(self, file: ImportFile) -> Iterator[bytes]:
        """The bytes of a file in pieces of at most `PIECE_BYTES`.

        Raises:
            UnreadableError: at any piece.
        """
        try:
            with self._open(file) as stream:
                while piece := stream.read(PIECE_BYTES):
                    yield piece
        except FileNotFoundError:
            raise UnreadableError(f"not found on worker {self._worker}") from None
        except OSError as error:
            raise UnreadableError(f"{error.strerror or error} on worker {self._worker}") from error
        except archive.ERRORS as error:
            if file.member is None:
                raise
            raise UnreadableError(f"damaged in its ZIP archive: {error}") from error

    @contextmanager
    def _open(self, file: ImportFile) -> Iterator[IO[bytes]]:
        if file.member is None:
            if not stat.S_ISREG(os.stat(file.path).st_mode):
                raise UnreadableError(f"not a regular file on worker {self._worker}")
            with open(file.path, "rb") as stream:
                yield stream
        else:
            opened = self._open_archive(file.path)
            with opened.open(self._member(opened, file)) as stream:
                yield stream

    def _open_archive(self, path: str) -> zipfile.ZipFile:
        if self._archive is None or self._archive_path != path:
            self._close_archive()
            self._archive = zipfile.ZipFile(path)
            self._archive_path = path
        return self._archive

    def _member(self, opened: zipfile.ZipFile, file: ImportFile) -> zipfile.ZipInfo:
        """The member, looked at again: the archive may be another one than when it was listed."""
        members = opened.infolist()
        index = file.index or 0
        if index >= len(members) or members[index].filename != file.member:
            raise UnreadableError("the ZIP archive has changed since it was listed")
        reason = archive.why_not_read(members[index])
        if reason is not None:
            raise UnreadableError(reason)
        return members[index]

    def _close_archive(self) -> None:
        if self._archive is not None:
            self._archive.close()
            self._archive = None
