"""Bytes on their way to a medium that takes them as a whole: in memory, or in a file without a name if they are many.

The file is in the system's temporary folder, on the node's own disk; it is gone with the process, however that ends.
"""

import errno
import hashlib
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import BinaryIO

from cluster.errors import StorageFailed, StorageFull
from cluster.storage.memory_budget import MemoryBudget


class Spool:
    """What an attachment of such a medium is made of; see `cluster.storage.area.IncomingAttachment`."""

    def __init__(self, uuid: str, memory: MemoryBudget, streaming_threshold: int) -> None:
        self.uuid = uuid
        self.size = 0
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
        """Append; goes to a temporary file once the attachment is large or memory is short."""
        size = len(data)
        if self._buffer is not None and not self._hold(size):
            self._spill()
        self._md5.update(data)
        self.size += size
        with _temporary_file_errors():
            self._stream().write(data)

    def stream(self) -> BinaryIO:
        """The bytes so far, from the start."""
        stream = self._stream()
        with _temporary_file_errors():
            stream.seek(0)
        return stream

    def content(self) -> memoryview:
        """The bytes of what is in memory."""
        assert self._buffer is not None
        return self._buffer.getbuffer()

    def md5(self) -> str:
        """Lower-case hexadecimal MD5 of what was written."""
        return self._md5.hexdigest()

    def forget(self) -> None:
        """Let go of memory and temporary file; may be called again."""
        self._buffer = None
        self._memory.give_back(self._held)
        self._held = 0
        if self._file is not None:
            self._file.close()
            self._file = None

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
        buffer = self._buffer
        assert buffer is not None
        with _temporary_file_errors():
            file = tempfile.TemporaryFile(prefix="orthanc-cluster-")  # noqa: SIM115
            self._file = file  # closed by `forget`, whatever happens next
            file.write(buffer.getbuffer())
        self._buffer = None
        self._memory.give_back(self._held)
        self._held = 0


@contextmanager
def _temporary_file_errors() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        folder = tempfile.gettempdir()
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise StorageFull(f"the temporary folder {folder} of this node is full: {error.strerror}") from error
        raise StorageFailed(f"temporary file in {folder}: {error.strerror}") from error
