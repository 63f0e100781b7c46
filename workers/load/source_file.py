"""A user's DICOM file, and where in it the identifiers lie."""

import os
import zlib
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

from pydicom.filereader import read_dataset
from pydicom.uid import ExplicitVRBigEndian, ImplicitVRLittleEndian

from cluster.dicom.part10 import DEFLATED_TRANSFER_SYNTAXES, read_file_meta_information
from cluster.dicom.stream import Window
from cluster.errors import BadDicom

_SOP_CLASS_UID = 0x00080016
SOP_INSTANCE_UID = 0x00080018
PATIENT_ID = 0x00100020
STUDY_INSTANCE_UID = 0x0020000D
SERIES_INSTANCE_UID = 0x0020000E
_IDENTIFIERS = (PATIENT_ID, STUDY_INSTANCE_UID, SERIES_INSTANCE_UID, SOP_INSTANCE_UID)
GROUP_LENGTHS = (0x00080000, 0x00100000, 0x00200000)
"""Retired, and in old files; they count the bytes that change (PS3.5 section 7.2)."""
_NAMES = {STUDY_INSTANCE_UID: "Study", SERIES_INSTANCE_UID: "Series", SOP_INSTANCE_UID: "SOP"}


@dataclass(frozen=True, slots=True)
class Place:
    """Where the value of an element lies in the data set."""

    tag: int
    at: int
    length: int
    length_bytes: int
    """Of the length field before it: two, or four in Implicit VR."""


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file that can be sent; identifiers are those in it."""

    path: str
    data_set_at: int
    patient_id: str
    study_instance_uid: str
    series_instance_uid: str
    sop_instance_uid: str
    sop_class_uid: str
    transfer_syntax_uid: str
    places: tuple[Place, ...]
    """Of what is replaced, in the order of the data set."""


def source_file(path: Path) -> SourceFile:
    """Look at one file; raises BadDicom or OSError."""
    with path.open("rb") as stream:
        size = os.fstat(stream.fileno()).st_size
        transfer_syntax_uid, data_set_at = read_file_meta_information(Window(stream, size))
        stream.seek(data_set_at)
        is_deflated = transfer_syntax_uid in DEFLATED_TRANSFER_SYNTAXES
        data_set = BytesIO(inflated(stream.read())) if is_deflated else stream
        values, places = _read(data_set, 0 if is_deflated else data_set_at, transfer_syntax_uid)
    for tag, name in _NAMES.items():
        if not values.get(tag):
            raise BadDicom(f"no {name} Instance UID")
    if not values.get(_SOP_CLASS_UID):
        raise BadDicom("no SOP Class UID")
    patient_id, study, series, sop = (values.get(tag, "") for tag in _IDENTIFIERS)
    sop_class = values[_SOP_CLASS_UID]
    return SourceFile(str(path), data_set_at, patient_id, study, series, sop, sop_class, transfer_syntax_uid, places)


def _read(stream: BinaryIO, start: int, transfer_syntax_uid: str) -> tuple[dict[int, str], tuple[Place, ...]]:
    """Values by tag, and where those lie that will be replaced. Raises BadDicom."""
    wanted = {_SOP_CLASS_UID, *_IDENTIFIERS, *GROUP_LENGTHS}
    try:
        elements = read_dataset(
            stream,
            transfer_syntax_uid == ImplicitVRLittleEndian,
            transfer_syntax_uid != ExplicitVRBigEndian,
            stop_when=lambda tag, vr, length: tag > SERIES_INSTANCE_UID,
            defer_size=None,
            specific_tags=list(wanted),
        )
    except Exception as error:  # pydicom lets any error of what it uses escape
        raise BadDicom(f"cannot be read: {error}") from error
    values, places = {}, []
    for tag in sorted(elements.keys()):
        if tag not in wanted:
            continue
        raw: Any = elements.get_item(tag)
        value = raw.value or b""
        values[int(tag)] = value.strip(b"\0 ").decode("latin-1")
        length_bytes = 4 if raw.is_implicit_VR or raw.VR == "UN" else 2
        if tag != _SOP_CLASS_UID and value:
            places.append(Place(int(tag), raw.value_tell - start, len(value), length_bytes))
    return values, tuple(places)


def inflated(content: bytes | memoryview) -> bytes:
    """A deflated data set as it was before (PS3.5 annex A.5); raises zlib.error."""
    return zlib.decompress(content, -zlib.MAX_WBITS)
