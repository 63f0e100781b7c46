"""DICOM files of the storage area, opened to look into them, compressed ones included."""

import tempfile
from typing import Any, BinaryIO, cast

from cluster.dicom.main_tags import Tag
from cluster.dicom.open_file import DicomFile
from cluster.index.attachments import Attachment, Compression
from workers.http.files import pieces
from workers.http.services import Services

_IN_MEMORY_BYTES = 1024 * 1024


def open_dicom(services: Services, attachment: Attachment) -> DicomFile:
    """The file of an attachment; a context manager.

    Raises:
        UnknownResource, StorageFailed, NotDicom, TruncatedDicom.
    """
    stream = services.storage.open(attachment.uuid)
    if attachment.compression != Compression.NONE:
        stream = _inflated(stream, attachment)
    return DicomFile(stream, attachment.size, services.settings.default_encoding)


def tags_of_attachment(
    services: Services, attachment: Attachment, ignore_length: tuple[Tag, ...] = ()
) -> dict[str, Any]:
    """All that can be shown of the file's tags; raises as `open_dicom`."""
    with open_dicom(services, attachment) as file:
        return file.tags(ignore_length)


def _inflated(packed: BinaryIO, attachment: Attachment) -> BinaryIO:
    """Small ones in memory, others in a file that has no name."""
    plain = cast(BinaryIO, tempfile.SpooledTemporaryFile(_IN_MEMORY_BYTES))  # noqa: SIM115 - DicomFile closes it
    try:
        with packed:
            for piece in pieces(packed, attachment, 0, attachment.size):
                plain.write(piece)
    except BaseException:
        plain.close()
        raise
    return plain
