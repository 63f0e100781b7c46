"""What is in a ZIP archive of resources: their files in folders, or a medium with a DICOMDIR (interop/rest.md 6)."""

import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, BinaryIO, Literal, Self, cast

from cluster.database import Database
from cluster.dicom.directory import DirectoryWriter
from cluster.index.archive import ArchivedFile, archived_files
from cluster.storage.area import StorageArea
from cluster.storage.zlib_form import plain
from workers.archives.content import content, open_plain
from workers.archives.zip_stream import ZipEntry

_DIRECTORY_IN_MEMORY_BYTES = 4 << 20


@dataclass(frozen=True, slots=True)
class Wanted:
    """An archive as somebody asked for it; the task of a job."""

    kind: Literal["Archive", "Media"]
    resources: tuple[str, ...]
    file_name: str
    extended: bool = False
    """Of media: more is told in the DICOMDIR."""

    def to_json(self) -> dict[str, Any]:
        """As in the column `task` of cluster.jobs."""
        return asdict(self) | {"resources": list(self.resources)}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """The opposite of `to_json`."""
        return cls(**{**values, "resources": tuple(values["resources"])})


def entries(database: Database, storage: StorageArea, wanted: Wanted) -> Iterator[ZipEntry]:
    """The entries of the archive in order, each with its content, which is read when it is asked for.

    Raises:
        UnknownResource: one of the ids is unknown, at the first step; or a file is not there.
        StorageFailed, NotDicom, Transient.
    """
    files = archived_files(database, wanted.resources)
    if wanted.kind == "Archive":
        return ((path, attachment.size, content(storage, attachment)) for path, attachment in files)
    return _medium(storage, files, extended=wanted.extended)


def _medium(storage: StorageArea, files: Iterator[ArchivedFile], *, extended: bool) -> Iterator[ZipEntry]:
    with tempfile.SpooledTemporaryFile(_DIRECTORY_IN_MEMORY_BYTES) as spooled:
        stream = cast(BinaryIO, spooled)
        directory = DirectoryWriter(stream, extended=extended)
        for number, (path, attachment) in enumerate(files):
            file_id = ("IMAGES", f"IM{number}")
            with open_plain(storage, attachment) as file:
                # The folders of an archive tell patients, studies and series apart, and come sorted.
                directory.add(path.split("/")[:3], file_id, file)
            yield "/".join(file_id), attachment.size, content(storage, attachment)
        size = directory.finish()
        stream.seek(0)
        yield "DICOMDIR", size, plain(stream)
