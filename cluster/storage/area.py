"""What every storage area can do: attachments as bytes under a UUID that is never used again."""

from collections.abc import Sequence
from typing import BinaryIO, Protocol

from cluster.database import Accompanying
from cluster.storage.health import Health

DICOM = 1
"""Type of the attachment that holds an instance (interop/enumerations.md)."""


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

    def keep(self) -> None:
        """A row names the attachment now."""

    def leave(self) -> None:
        """The bytes stay, as nobody knows whether a row names them; others will find out."""


class StorageArea(Protocol):
    """A medium for attachments, shared by all nodes."""

    health: Health
    """What the last attempts to store something met; anybody may read it at any time."""

    def create(self, kind: int = DICOM) -> IncomingAttachment:
        """A new attachment of a type (`AttachedFiles.fileType`) with a new UUID.

        Raises:
            Transient, DatabaseRefused: there is no name for it now.
        """

    def make_durable(self, attachments: Sequence[IncomingAttachment]) -> None:
        """Return when all bytes of finished attachments survive a power failure, or will with the commit.

        Raises:
            StorageFull, StorageFailed, StorageUnavailable: nothing is promised of any of them; may be tried again.
        """

    def accompanying(self, owned: Sequence[tuple[IncomingAttachment, str]]) -> Accompanying:
        """What the transaction with the rows of durable attachments has to do besides, if the medium is the database.

        Each attachment comes with the public id of the resource whose row may name it. Done again with the transaction.
        """

    def open(self, uuid: str) -> BinaryIO:
        """The bytes of an attachment, seekable; raises UnknownResource."""

    def remove(self, uuid: str) -> None:
        """Remove the bytes; missing ones are no error (interop/ingest.md 10)."""

    def remove_all(self, uuids: Sequence[str]) -> list[str]:
        """Remove the bytes of many; those that are gone. What could not be removed is logged, never raised."""

    def probe(self) -> None:
        """See whether something could be stored now, tell `health`; never raises, may take seconds."""

    def age_of(self, uuid: str) -> float | None:
        """Seconds since the bytes were last written to; None if there are none."""
