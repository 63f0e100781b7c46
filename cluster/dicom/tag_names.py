"""Names of DICOM tags: what a person writes for a tag, and what the REST API calls it.

A tag is written as its keyword (PS3.6) or as four and four hexadecimal digits (interop/rest.md 4, interop/tags.md).
"""

import re
from functools import lru_cache

from pydicom.datadict import dictionary_has_tag, dictionary_is_retired, keyword_for_tag, tag_for_keyword

from cluster.dicom.main_tags import Tag

_HEXADECIMAL = re.compile(r"([0-9a-fA-F]{4})[,-]?([0-9a-fA-F]{4})", re.ASCII)
_OWN_NAMES = {(0x0002, 0x0000): "FileMetaInformationGroupLength", (0x0010, 0x1000): "OtherPatientIDs"}
"""Names that Orthanc has whatever DCMTK's dictionary says."""

_UNKNOWN = "Unknown Tag & Data"
_MAXIMUM_NAME_LENGTH = 64


@lru_cache(maxsize=4096)
def parse_tag(text: str) -> Tag | None:
    """The tag of a keyword, or of `gggg,eeee`, `gggg-eeee` or `ggggeeee`; None if it is none of them."""
    match = _HEXADECIMAL.fullmatch(text)
    if match:
        return int(match[1], 16), int(match[2], 16)
    if not text or len(text) > _MAXIMUM_NAME_LENGTH:
        return None
    number = tag_for_keyword(text)
    return None if number is None else (number >> 16, number & 0xFFFF)


@lru_cache(maxsize=8192)
def keyword_of(tag: Tag) -> str:
    """Name of a tag in DCMTK's dictionary, hence in Orthanc: the standard's keyword, marked if it is retired."""
    group, element = tag
    if tag in _OWN_NAMES:
        return _OWN_NAMES[tag]
    if element == 0:
        return "PrivateGroupLength" if group & 1 else "GenericGroupLength"
    if group & 1 and 0x10 <= element <= 0xFF:
        return "PrivateCreator"
    number = group << 16 | element
    keyword = keyword_for_tag(number) or _UNKNOWN
    return f"RETIRED_{keyword}" if dictionary_has_tag(number) and dictionary_is_retired(number) else keyword


def is_known(tag: Tag) -> bool:
    """Whether the standard's dictionary has the tag."""
    return dictionary_has_tag(tag[0] << 16 | tag[1])


def hexadecimal(tag: Tag, separator: str = ",") -> str:
    """A tag as `gggg,eeee`."""
    return f"{tag[0]:04x}{separator}{tag[1]:04x}"
