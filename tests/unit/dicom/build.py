"""Data sets made byte by byte, so that the tests do not depend on what a library thinks is valid."""

import io
from collections.abc import Iterable
from pathlib import Path
from struct import pack
from typing import Any

from pydicom.data.data_manager import DATA_ROOT

from cluster.dicom.header import DicomInstance, read_part10
from cluster.dicom.part10 import file_meta_information
from cluster.dicom.stream import SHORT_VRS, UNDEFINED_LENGTH

EXPLICIT_LITTLE = "1.2.840.10008.1.2.1"
EXPLICIT_BIG = "1.2.840.10008.1.2.2"
IMPLICIT_LITTLE = "1.2.840.10008.1.2"
DEFLATED = "1.2.840.10008.1.2.1.99"
JPEG_BASELINE = "1.2.840.10008.1.2.4.50"

CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"

PYDICOM_FILES = tuple(sorted(path for path in Path(DATA_ROOT).rglob("*") if path.is_file() and path.suffix != ".py"))


def element(tag: int, vr: str, value: bytes, *, order: str = "<", length: int | None = None) -> bytes:
    """An element in explicit VR; `length` overrides what its header claims."""
    claimed = len(value) if length is None else length
    head = pack(order + "HH2s", tag >> 16, tag & 0xFFFF, vr.encode())
    return head + (pack(order + "H", claimed) if vr.encode() in SHORT_VRS else pack(order + "2xI", claimed)) + value


def implicit(tag: int, value: bytes, *, length: int | None = None) -> bytes:
    """An element in implicit VR, an item or a delimiter."""
    return pack("<HHI", tag >> 16, tag & 0xFFFF, len(value) if length is None else length) + value


def item(*elements: bytes) -> bytes:
    return implicit(0xFFFEE000, b"".join(elements))


def undefined_item(*elements: bytes) -> bytes:
    return implicit(0xFFFEE000, b"".join(elements) + implicit(0xFFFEE00D, b""), length=UNDEFINED_LENGTH)


SEQUENCE_END = implicit(0xFFFEE0DD, b"")


def identifiers(**changes: bytes | None) -> dict[int, tuple[str, bytes]]:
    """The elements that make an instance; a change to None leaves one out."""
    values: dict[str, bytes | None] = {
        "sop_class": CT_IMAGE.encode() + b"\0",
        "sop": b"1.2.3.4",
        "patient_id": b"ABC ",
        "study": b"1.2.3.1",
        "series": b"1.2.3.2",
    }
    values |= changes
    tags = {
        "sop_class": (0x00080016, "UI"),
        "sop": (0x00080018, "UI"),
        "patient_id": (0x00100020, "LO"),
        "study": (0x0020000D, "UI"),
        "series": (0x0020000E, "UI"),
    }
    return {tags[key][0]: (tags[key][1], value) for key, value in values.items() if value is not None}


def data_set(*more: tuple[int, str, bytes], tail: bytes = b"", order: str = "<", **changes: bytes | None) -> bytes:
    """An explicit VR data set of an instance, its elements in order, `tail` appended as it is."""
    elements = identifiers(**changes) | {tag: (vr, value) for tag, vr, value in more}
    return b"".join(element(tag, vr, elements[tag][1], order=order) for tag, (vr, _) in sorted(elements.items())) + tail


def part10(body: bytes, transfer_syntax: str = EXPLICIT_LITTLE) -> bytes:
    return file_meta_information(CT_IMAGE, "1.2.3.4", transfer_syntax) + body


def read(file: bytes, **options: Any) -> DicomInstance:
    return read_part10(io.BytesIO(file), len(file), **options)


def read_data_set(*more: tuple[int, str, bytes], **changes: Any) -> DicomInstance:
    return read(part10(data_set(*more, **changes)))


def row(instance: DicomInstance, level: int, tag: int) -> str | None:
    """Value of the MainDicomTags row of a tag, None if there is none."""
    return _find(instance.main_tags[level], tag)


def identifier(instance: DicomInstance, level: int, tag: int) -> str | None:
    return _find(instance.identifiers[level], tag)


def _find(rows: Iterable[tuple[int, int, str]], tag: int) -> str | None:
    found = [value for group, number, value in rows if group << 16 | number == tag]
    assert len(found) < 2
    return found[0] if found else None
