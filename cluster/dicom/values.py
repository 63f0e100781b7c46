"""Bytes of one element to the text that the index holds.

Source: interop/tags.md, "What a row of MainDicomTags holds", and interop/identifiers.md, "How the four strings are
obtained".
"""

from struct import unpack_from

from pydicom.datadict import DicomDictionary  # type: ignore[attr-defined]

from cluster.dicom.character_sets import CharacterSet
from cluster.dicom.main_tags import MAXIMUM_VALUE_BYTES
from cluster.dicom.stream import ByteOrder

_STRING_VRS = frozenset(b"AE AS CS DA DS DT IS LO LT PN SH ST TM UC UI UR UT".split())
_NUMBERS = {b"US": ("H", 2), b"SS": ("h", 2), b"UL": ("I", 4), b"SL": ("i", 4), b"FL": ("f", 4), b"FD": ("d", 8)}
_DICTIONARY_VRS = {tag: entry[0].encode() for tag, entry in DicomDictionary.items()}


def dictionary_vr(tag: int) -> bytes:
    """VR of a public tag in PS3.6; UN for private and unknown tags, UL for group lengths."""
    return _DICTIONARY_VRS.get(tag) or (b"UL" if tag & 0xFFFF == 0 else b"UN")


def text_of(tag: int, vr: bytes, value: bytes, characters: CharacterSet, order: ByteOrder) -> str | None:
    """Text of a value, of any length; None if it is binary. An empty `vr` stands for implicit VR.

    Values of odd length, which the standard forbids, are treated as DCMTK does: a NUL is added to them, and so spaces
    before it are no padding.
    """
    vr = vr or dictionary_vr(tag)
    if len(value) % 2:
        value += b"\0"
    if vr in _STRING_VRS:
        value = value.rstrip(b" ")
        if b"\0" in value:
            value = value[: value.index(b"\0")]
        if vr == b"UI":
            value = b"".join(value.split())
        return characters.decode(value, vr)
    if vr in _NUMBERS:
        return _decimal_text(vr, value, order)
    if vr == b"AT" and len(value) >= 4:
        return "{:04x},{:04x}".format(*unpack_from(order + "HH", value))
    if vr == b"UN" and (meant := dictionary_vr(tag)) in _STRING_VRS:
        # Orthanc takes only the NUL off such a value, not the spaces. What follows a NUL could not be stored.
        return characters.decode(value.split(b"\0", 1)[0], meant)
    return None


def exceeds_limit(text: str) -> bool:
    """Is the text too long for a row of the index, counted in bytes of UTF-8?"""
    if len(text) <= MAXIMUM_VALUE_BYTES // 4:
        return False
    return len(text.encode()) > MAXIMUM_VALUE_BYTES


def _decimal_text(vr: bytes, value: bytes, order: ByteOrder) -> str | None:
    code, size = _NUMBERS[vr]
    numbers = unpack_from(f"{order}{len(value) // size}{code}", value)
    # 17 digits for single precision too: a float is printed as the double that equals it.
    texts = [f"{number:.17g}" if isinstance(number, float) else str(number) for number in numbers]
    return "\\".join(texts) if texts else None
