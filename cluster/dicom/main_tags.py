"""Main DICOM tags and identifiers: what of an instance goes into the index, per level.

Tags are pairs (group, element), as the columns tagGroup and tagElement hold them. The tables are those of Orthanc
1.12.5 and newer. Source: interop/tags.md, sections 1 and 2.
"""

from typing import NamedTuple

from pydicom.datadict import keyword_for_tag

Tag = tuple[int, int]

MAXIMUM_VALUE_BYTES = 256
"""A longer value, in bytes of UTF-8, has no row in MainDicomTags or DicomIdentifiers."""


class TagValue(NamedTuple):
    """One row of MainDicomTags or DicomIdentifiers, without the resource it belongs to."""

    group: int
    element: int
    value: str


_PATIENT_TAGS = (
    (0x0010, 0x0010),
    (0x0010, 0x0020),
    (0x0010, 0x0030),
    (0x0010, 0x0040),
    (0x0010, 0x1000),
)
_STUDY_TAGS = (
    (0x0008, 0x0020),
    (0x0008, 0x0030),
    (0x0008, 0x0050),
    (0x0008, 0x0080),
    (0x0008, 0x0090),
    (0x0008, 0x0201),
    (0x0008, 0x1030),
    (0x0020, 0x000D),
    (0x0020, 0x0010),
    (0x0032, 0x1032),
    (0x0032, 0x1060),
)
_SERIES_TAGS = (
    (0x0008, 0x0021),
    (0x0008, 0x0031),
    (0x0008, 0x0060),
    (0x0008, 0x0070),
    (0x0008, 0x0201),
    (0x0008, 0x1010),
    (0x0008, 0x103E),
    (0x0008, 0x1070),
    (0x0018, 0x0010),
    (0x0018, 0x0015),
    (0x0018, 0x0024),
    (0x0018, 0x1030),
    (0x0018, 0x1090),
    (0x0018, 0x1400),
    (0x0020, 0x000E),
    (0x0020, 0x0011),
    (0x0020, 0x0037),
    (0x0020, 0x0105),
    (0x0020, 0x1002),
    (0x0040, 0x0244),
    (0x0040, 0x0245),
    (0x0040, 0x0254),
    (0x0040, 0x0275),
    (0x0054, 0x0081),
    (0x0054, 0x0101),
    (0x0054, 0x1000),
)
_INSTANCE_TAGS = (
    (0x0008, 0x0012),
    (0x0008, 0x0013),
    (0x0008, 0x0018),
    (0x0020, 0x0012),
    (0x0020, 0x0013),
    (0x0020, 0x0032),
    (0x0020, 0x0037),
    (0x0020, 0x0100),
    (0x0020, 0x4000),
    (0x0028, 0x0008),
    (0x0054, 0x1330),
)

MAIN_TAGS: tuple[tuple[Tag, ...], ...] = (_PATIENT_TAGS, _STUDY_TAGS, _SERIES_TAGS, _INSTANCE_TAGS)
"""Main DICOM tags by level, in ascending order. A study's own tags only: the index adds its patient's."""

REQUEST_ATTRIBUTES_SEQUENCE: Tag = (0x0040, 0x0275)
"""The only main DICOM tag that is a sequence: it has no row, but metadata 16 at the series level."""

_PATIENT_IDENTIFIERS = ((0x0010, 0x0010), (0x0010, 0x0020), (0x0010, 0x0030))

IDENTIFIERS: tuple[tuple[Tag, ...], ...] = (
    _PATIENT_IDENTIFIERS,
    ((0x0008, 0x0020), (0x0008, 0x0050), (0x0008, 0x1030), *_PATIENT_IDENTIFIERS, (0x0020, 0x000D)),
    ((0x0020, 0x000E),),
    ((0x0008, 0x0018),),
)
"""Tags of DicomIdentifiers by level; the study's include those of its patient."""

SIGNATURES: tuple[str, ...] = tuple(
    ";".join(f"{group:04x},{element:04x}" for group, element in sorted(tags)) for tags in MAIN_TAGS
)
"""Metadata 15 (MainDicomTagsSignature) by level."""

KEYWORDS: dict[Tag, str] = {
    tag: keyword_for_tag((tag[0] << 16) | tag[1]) for tag in sorted({tag for tags in MAIN_TAGS for tag in tags})
}
"""Keyword (PS3.6) of each main DICOM tag, which is also its name in Orthanc's REST API."""

# One pass over the bytes: "%" and "_" become spaces, lower case becomes upper case, controls disappear.
_NORMALISED = bytes.maketrans(
    b"%_abcdefghijklmnopqrstuvwxyz",
    b"  ABCDEFGHIJKLMNOPQRSTUVWXYZ",
)
_REMOVED = bytes([*range(0x20), 0x7F])


def normalise_identifier(text: str) -> str:
    """Value of a DicomIdentifiers row for a tag's text; searches must apply the same function to what they look for.

    Source: interop/tags.md, "Normalisation".
    """
    return text.encode("ascii", "ignore").translate(_NORMALISED, _REMOVED).strip(b" ").decode("ascii")
