"""Bytes on their way in: in memory, or in a file if they are many or memory is short. The same for every medium.

Where the file is the medium's own decision; by default it has no name, in the system's temporary folder on the node's
own disk, and is gone with the process, however that ends.
"""

import errno
import hashlib
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from io import BytesIO
from typing import BinaryIO

from cluster.errors import StorageFailed, StorageFull
from cluster.storage.memory_budget import MemoryBudget
from cluster.storage.names import Names

FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""What the system says where there is no room."""


class Spool:
    """What an attachment is made of while it is received; see `cluster.storage.area.IncomingAttachment`."""

    def __init__(self, uuid: str, names: Names, memory: MemoryBudget, streaming_threshold: int) -> None:
        self.uuid = uuid
        self.size = 0
        self._names = names
        self._memory = memory
        self._held = 0
        self._streaming_threshold = streaming_threshold
        self._buffer: BytesIO | None = BytesIO()
        self._file: BinaryIO | None = None
        self._md5 = hashlib.md5(usedforsecurity=False)

    @property
    def is_in_memory(self) -> bool:
        """Whether the bytes are held in memory, all of them."""
        return self._buffer is not None

    def write(self, data: bytes | memoryview) -> None:
        """Append; goes to a file once the attachment is large or memory is short."""
        size = len(data)
        if self._buffer is not None and not self._hold(size):
            self._spill()
        self._md5.update(data)
        self.size += size
        if self._buffer is not None:
            self._buffer.write(data)
        else:
            with self._file_errors():
                self._stream().write(data)

    def stream(self) -> BinaryIO:
        """The bytes so far, from the start."""
        stream = self._stream()
        with self._file_errors():
            stream.seek(0)
        return stream

    def content(self) -> memoryview:
        """The bytes of what is in memory."""
        assert self._buffer is not None
        return self._buffer.getbuffer()

    def md5(self) -> str:
        """Lower-case hexadecimal MD5 of what was written."""
        return self._md5.hexdigest()

    def keep(self) -> None:
        """A row names the attachment."""
        self._names.settled(self.uuid)

    def leave(self) -> None:
        """Somebody will find out whether a row names the attachment."""
        self._names.doubtful(self.uuid)

    def forget(self) -> None:
        """Let go of memory and file; may be called again."""
        self._forget_buffer()
        if self._file is not None:
            file, self._file = self._file, None
            with self._file_errors():
                file.close()

    def _discarded(self, is_gone: bool) -> None:
        """Nothing will name the attachment; whether nothing of it is on the medium any more is known or not."""
        if is_gone:
            self._names.settled(self.uuid)
        else:
            self._names.doubtful(self.uuid)

    def _create_file(self) -> BinaryIO:
        return tempfile.TemporaryFile(prefix="orthanc-cluster-")

    def _file_errors(self) -> AbstractContextManager[None]:
        """Inside the block the system's errors become ours."""
        return _temporary_file_errors()

    def _stream(self) -> BinaryIO:
        stream: BinaryIO | None = self._buffer or self._file
        if stream is None:
            raise ValueError("the attachment is finished or discarded")
        return stream

    def _hold(self, size: int) -> bool:
        if self._held + size > self._streaming_threshold or not self._memory.take(size):
            return False
        self._held += size
        return True

    def _spill(self) -> None:
        if self._buffer is None:
            return
        with self._file_errors():
            self._file = self._create_file()
            self._file.write(self._buffer.getbuffer())
        self._forget_buffer()

    def _forget_buffer(self) -> None:
        self._buffer = None
        self._memory.give_back(self._held)
        self._held = 0


@contextmanager
def _temporary_file_errors() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        folder = tempfile.gettempdir()
        if error.errno in FULL:
            raise StorageFull(f"the temporary folder {folder} of this node is full: {error.strerror}") from error
        raise StorageFailed(f"temporary file in {folder}: {error.strerror}") from error
