"""A user's own DICOM files as a source of instances: found once, sent as often as wanted, each time under new UIDs.

Patient ID, Study, Series and SOP Instance UID are replaced where they stand; every other byte is sent as it lies in
the file, which is mapped and never read into memory as a whole. The new identifiers follow from the seed, the number
of the copy and the old ones: what belonged together still does, and senders need not talk to each other. The patient
gets a new id too, so that a load never ends up in the record of somebody real.
"""

import hashlib
import mmap
import os
import uuid
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from struct import pack, unpack

from pydicom.uid import ExplicitVRBigEndian

from cluster.dicom.part10 import DEFLATED_TRANSFER_SYNTAXES
from cluster.errors import BadDicom, ConfigurationError
from workers.load.instance import Pieces
from workers.load.source_file import (
    GROUP_LENGTHS,
    PATIENT_ID,
    SERIES_INSTANCE_UID,
    SOP_INSTANCE_UID,
    STUDY_INSTANCE_UID,
    SourceFile,
    inflated,
    source_file,
)

_NAMESPACE = uuid.UUID("5b0e7c52-93a4-4f0b-8f0c-0d8f3f0b6a21")


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Files in the order in which they are sent: series by series."""

    files: tuple[SourceFile, ...]
    kinds: tuple[tuple[str, str], ...]
    """SOP classes and transfer syntaxes of them, each pair once."""
    skipped: tuple[str, ...] = ()
    """Path and reason of what is not sent."""

    @property
    def fingerprint(self) -> str:
        """The same for the same files, wherever they lie."""
        return hashlib.sha256("\n".join(file.sop_instance_uid for file in self.files).encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class FileInstance:
    """A file under new identifiers."""

    patient_id: str
    study_instance_uid: str
    series_instance_uid: str
    sop_instance_uid: str
    sop_class_uid: str
    transfer_syntax_uid: str
    pieces: Pieces

    def changed(self) -> "FileInstance":
        raise NotImplementedError("options refuse to overwrite what comes from files")


def catalogue(paths: Sequence[Path]) -> Catalogue:
    """Look at files and, as a whole, at folders; raises ConfigurationError if there is nothing to send."""
    files: list[SourceFile] = []
    skipped: list[str] = []
    seen: set[str] = set()
    for path in _walk(paths):
        try:
            file = source_file(path)
            if file.sop_instance_uid in seen:
                raise BadDicom("the same SOP Instance UID as another file")
        except (BadDicom, OSError, zlib.error) as error:
            skipped.append(f"{path}: {error}")
            continue
        seen.add(file.sop_instance_uid)
        files.append(file)
    if not files:
        first = f", for instance {skipped[0]}" if skipped else ""
        raise ConfigurationError("--files", f"holds no DICOM file that can be sent: {len(skipped)} looked at{first}")
    files.sort(key=lambda file: (file.study_instance_uid, file.series_instance_uid, file.path))
    kinds = sorted({(file.sop_class_uid, file.transfer_syntax_uid) for file in files})
    return Catalogue(tuple(files), tuple(kinds), tuple(skipped))


def copy_of(file: SourceFile, seed: int, copy: int) -> FileInstance:
    """The file under the identifiers of that copy; raises OSError if it cannot be opened any more."""
    new = {tag: new_uid(seed, copy, old) for tag, old in _uids(file).items()}
    patient_id = _new_patient_id(seed, copy, file.patient_id) if file.patient_id else ""
    values = {tag: _even(uid, b"\0") for tag, uid in new.items()} | {PATIENT_ID: _even(patient_id, b" ")}
    pieces = tuple(_spliced(file, _mapped(file), values))
    if file.transfer_syntax_uid in DEFLATED_TRANSFER_SYNTAXES:
        pieces = (_deflated(pieces),)
    return FileInstance(
        patient_id=patient_id,
        study_instance_uid=new[STUDY_INSTANCE_UID],
        series_instance_uid=new[SERIES_INSTANCE_UID],
        sop_instance_uid=new[SOP_INSTANCE_UID],
        sop_class_uid=file.sop_class_uid,
        transfer_syntax_uid=file.transfer_syntax_uid,
        pieces=pieces,
    )


def new_uid(seed: int, copy: int, old: str) -> str:
    """The UID of that copy of a study, series or instance, made from a UUID (PS3.5 annex B.2)."""
    return f"2.25.{uuid.uuid5(_NAMESPACE, f'{seed}/{copy}/{old}').int}"


def _new_patient_id(seed: int, copy: int, old: str) -> str:
    return f"LOAD{seed:08X}-{copy}-{uuid.uuid5(_NAMESPACE, f'patient/{old}').hex[:8]}"


def _uids(file: SourceFile) -> dict[int, str]:
    return {
        STUDY_INSTANCE_UID: file.study_instance_uid,
        SERIES_INSTANCE_UID: file.series_instance_uid,
        SOP_INSTANCE_UID: file.sop_instance_uid,
    }


def _walk(paths: Iterable[Path]) -> Iterator[Path]:
    for path in paths:
        if not path.is_dir():
            yield path
            continue
        for folder, folders, names in os.walk(path):
            folders.sort()
            yield from (Path(folder, name) for name in sorted(names))


def _mapped(file: SourceFile) -> memoryview:
    """The data set of a file, of which only what is touched takes memory."""
    with open(file.path, "rb") as stream:
        content = memoryview(mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ))[file.data_set_at :]
    if file.transfer_syntax_uid in DEFLATED_TRANSFER_SYNTAXES:
        return memoryview(inflated(content))
    return content


def _spliced(file: SourceFile, data_set: memoryview, values: dict[int, bytes]) -> Iterator[bytes | memoryview]:
    """The data set with other values, and group lengths that are right again."""
    order = ">" if file.transfer_syntax_uid == ExplicitVRBigEndian else "<"
    begin = 0
    for place in file.places:
        end = place.at + place.length
        if place.tag in GROUP_LENGTHS:
            more = sum(
                len(values[each.tag]) - each.length
                for each in file.places
                if each.tag >> 16 == place.tag >> 16 and each.tag in values
            )
            (length,) = unpack(f"{order}I", data_set[place.at : end])
            yield data_set[begin : place.at]
            yield pack(f"{order}I", length + more)
        else:
            value = values[place.tag]
            yield data_set[begin : place.at - place.length_bytes]
            yield pack(order + ("I" if place.length_bytes == 4 else "H"), len(value)) + value
        begin = end
    yield data_set[begin:]


def _deflated(pieces: Pieces) -> bytes:
    deflate = zlib.compressobj(1, zlib.DEFLATED, -zlib.MAX_WBITS)
    content = b"".join([*map(deflate.compress, pieces), deflate.flush()])
    return content + b"\0" * (len(content) % 2)


def _even(text: str, padding: bytes) -> bytes:
    encoded = text.encode("ascii")
    return encoded + padding * (len(encoded) % 2)
