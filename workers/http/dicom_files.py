"""DICOM files of the storage area, opened to look into them, compressed ones included."""

from typing import Any

from cluster.dicom.main_tags import Tag
from cluster.dicom.open_file import DicomFile
from cluster.index.attachments import Attachment
from workers.archives.content import open_plain
from workers.http.services import Services


def open_dicom(services: Services, attachment: Attachment) -> DicomFile:
    """The file of an attachment; a context manager.

    Raises:
        UnknownResource, StorageFailed, NotDicom, TruncatedDicom.
    """
    return DicomFile(open_plain(services.storage, attachment), attachment.size, services.settings.default_encoding)


def tags_of_attachment(
    services: Services, attachment: Attachment, ignore_length: tuple[Tag, ...] = ()
) -> dict[str, Any]:
    """All that can be shown of the file's tags; raises as `open_dicom`."""
    with open_dicom(services, attachment) as file:
        return file.tags(ignore_length)
