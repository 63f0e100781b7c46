"""What every storage area can do: attachments as bytes under a UUID that is never used again."""

from collections.abc import Sequence
from typing import BinaryIO, Protocol


class IncomingAttachment(Protocol):
    """Bytes on their way in. One thread at a time; nobody else knows the UUID yet."""

    uuid: str
    size: int

    def write(self, data: bytes | memoryview) -> None:
        """Append; raises StorageFull or StorageFailed."""

    def stream(self) -> BinaryIO:
        """What was written so far, seekable, for parsing. Not to be closed; the next write goes to the end."""

    def finish(self) -> None:
        """Bring all bytes under their final name, not yet durable; raises StorageFull or StorageFailed."""

    def md5(self) -> str:
        """Lower-case hexadecimal MD5 of what was written."""

    def discard(self) -> None:
        """Forget the bytes and remove what is on the medium; never raises."""


class StorageArea(Protocol):
    """A medium for attachments, shared by all nodes."""

    def create(self) -> IncomingAttachment:
        """A new attachment with a new UUID."""

    def make_durable(self, attachments: Sequence[IncomingAttachment]) -> None:
        """Return when all bytes of finished attachments survive a power failure."""

    def open(self, uuid: str) -> BinaryIO:
        """The bytes of an attachment, seekable; raises UnknownResource."""

    def remove(self, uuid: str) -> None:
        """Remove the bytes; missing ones are no error (interop/ingest.md 10)."""
