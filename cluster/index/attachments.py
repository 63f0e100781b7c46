"""Where the bytes of an instance are."""

from dataclasses import dataclass
from enum import IntEnum

from cluster.database import Database, queries
from cluster.errors import UnknownResource

_SQL = queries("cluster.index", "attachments.sql")


class Compression(IntEnum):
    """`AttachedFiles.compressionType` (interop/enumerations.md, "Columns of one row")."""

    NONE = 1
    ZLIB_WITH_SIZE = 2


@dataclass(frozen=True, slots=True)
class Attachment:
    """One row of AttachedFiles; sizes in bytes."""

    uuid: str
    compression: int
    compressed_size: int
    size: int
    md5: str
    """Of the uncompressed bytes; empty where hashes are switched off."""


def dicom_attachment(database: Database, instance: str) -> Attachment:
    """Attachment 1 of an instance, by its public id.

    Raises:
        UnknownResource: no such instance, or it has no DICOM file.
    """
    row = database.run(
        "dicom_attachment",
        lambda cursor: cursor.execute(_SQL["dicom_attachment"], {"public_id": instance}).fetchone(),
        read_only=True,
    )
    if row is None:
        raise UnknownResource(f"no DICOM file of an instance {instance}")
    uuid, compression, compressed_size, size, md5 = row
    return Attachment(uuid, compression, compressed_size, size, md5 or "")
