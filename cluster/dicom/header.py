"""From a Part 10 file to everything that the index needs to know about the instance.

The pixel data is never read. Identifiers are checked here, so whoever holds a DicomInstance can store it. Sources:
interop/identifiers.md, interop/tags.md, interop/enumerations.md (metadata 1, 4, 9, 10, 14, 16, 17).
"""

import re
from dataclasses import dataclass
from math import prod
from typing import BinaryIO

from cluster.dicom.character_sets import CharacterSet, character_set
from cluster.dicom.elements import Outline, walk
from cluster.dicom.inflate import inflate
from cluster.dicom.main_tags import IDENTIFIERS, MAIN_TAGS, REQUEST_ATTRIBUTES_SEQUENCE, TagValue, normalise_identifier
from cluster.dicom.part10 import DEFLATED_TRANSFER_SYNTAXES, read_file_meta_information
from cluster.dicom.public_ids import PublicIds, public_ids
from cluster.dicom.sequences import main_sequences
from cluster.dicom.stream import EXPLICIT_BIG, EXPLICIT_LITTLE, IMPLICIT_LITTLE, Coding, Window, name
from cluster.dicom.values import exceeds_limit, text_of
from cluster.errors import MissingIdentifier, UnusableIdentifier

_IMPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2"
_EXPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2.1"
_EXPLICIT_VR_BIG_ENDIAN = "1.2.840.10008.1.2.2"
_CODINGS = {_IMPLICIT_VR_LITTLE_ENDIAN: IMPLICIT_LITTLE, _EXPLICIT_VR_BIG_ENDIAN: EXPLICIT_BIG}

_SPECIFIC_CHARACTER_SET = 0x00080005
_SOP_CLASS_UID = 0x00080016
_SOP_INSTANCE_UID = 0x00080018
_PATIENT_ID = 0x00100020
_CARDIAC_NUMBER_OF_IMAGES = 0x00181090
_STUDY_INSTANCE_UID = 0x0020000D
_SERIES_INSTANCE_UID = 0x0020000E
_INSTANCE_NUMBER = 0x00200013
_NUMBER_OF_TEMPORAL_POSITIONS = 0x00200105
_IMAGES_IN_ACQUISITION = 0x00201002
_BITS_ALLOCATED = 0x00280100
_NUMBER_OF_SLICES = 0x00540081
_NUMBER_OF_TIME_SLICES = 0x00540101
_IMAGE_INDEX = 0x00541330
_REQUEST_ATTRIBUTES = REQUEST_ATTRIBUTES_SEQUENCE[0] << 16 | REQUEST_ATTRIBUTES_SEQUENCE[1]

_IDENTIFYING_UIDS = {
    _STUDY_INSTANCE_UID: "StudyInstanceUID",
    _SERIES_INSTANCE_UID: "SeriesInstanceUID",
    _SOP_INSTANCE_UID: "SOPInstanceUID",
}
_MAIN = tuple(tuple((group << 16 | element, group, element) for group, element in tags) for tags in MAIN_TAGS)
_IDENTIFYING = tuple(tuple((group << 16 | element, group, element) for group, element in tags) for tags in IDENTIFIERS)
_WANTED = frozenset(tag for tags in _MAIN for tag, _, _ in tags) | {
    _SPECIFIC_CHARACTER_SET,
    _SOP_CLASS_UID,
    _BITS_ALLOCATED,
}
_INTEGER = re.compile(r"[+-]?[0-9]{1,10}")

Texts = dict[int, str | None]
"""Text by tag, for the tags that are present and no sequence; None if the value is binary or too long."""


@dataclass(frozen=True, slots=True)
class DicomInstance:
    """What the index holds of one instance. Tuples of four are indexed by Level.

    `main_tags` of the study are its own: its patient's, which Orthanc repeats there, are not among them.
    `identifiers` are normalised, those of the study include its patient's. `sequences` is metadata 16,
    `pixel_data_offset` 14, `pixel_data_vr` 17, `index_in_series` 1, `expected_instances` 4; None where there is to be
    no such row. `sop_class_uid` is empty if the data set has none.
    """

    patient_id: str
    study_instance_uid: str
    series_instance_uid: str
    sop_instance_uid: str
    sop_class_uid: str
    transfer_syntax_uid: str
    public_ids: PublicIds
    main_tags: tuple[tuple[TagValue, ...], ...]
    identifiers: tuple[tuple[TagValue, ...], ...]
    sequences: tuple[str | None, ...]
    pixel_data_offset: int | None
    pixel_data_vr: str | None
    index_in_series: str | None
    expected_instances: int | None


def coding_of(transfer_syntax_uid: str) -> Coding:
    """How elements are laid out in a transfer syntax: explicit VR, little endian, in all but two (PS3.5, Annex A)."""
    return _CODINGS.get(transfer_syntax_uid, EXPLICIT_LITTLE)


def read_part10(stream: BinaryIO, size: int, default_encoding: str = "Latin1") -> DicomInstance:
    """Read the header of the Part 10 file that is `stream` from its offset 0 to `size`, in bytes.

    The stream has to be seekable; where it is positioned does not matter, before or after. `default_encoding` is the
    option DefaultEncoding: the character set where the file names none. Raises NotDicom, TruncatedDicom,
    MissingIdentifier and UnusableIdentifier.
    """
    window = Window(stream, size)
    transfer_syntax_uid, start = read_file_meta_information(window)
    coding = _CODINGS.get(transfer_syntax_uid, EXPLICIT_LITTLE)
    if transfer_syntax_uid not in DEFLATED_TRANSFER_SYNTAXES:
        outline = walk(window, start, coding, _WANTED)
    else:
        inflated, inflated_size = inflate(stream, start, size)
        with inflated:
            outline = walk(Window(inflated, inflated_size), 0, coding, _WANTED)
        # Where pixel data starts in the inflated data set says nothing about the file (interop/ingest.md, section 3).
        outline.pixel_data_at = None
    return _instance(outline, coding, transfer_syntax_uid, default_encoding)


def _instance(outline: Outline, coding: Coding, transfer_syntax_uid: str, default_encoding: str) -> DicomInstance:
    _, specific = outline.values.get(_SPECIFIC_CHARACTER_SET, (b"", None))
    characters = character_set(specific, default_encoding)
    texts: Texts = {}
    for tag, (vr, value) in outline.values.items():
        text = None if value is None else text_of(tag, vr, value, characters, coding.order)
        texts[tag] = None if text is None or exceeds_limit(text) else text
    if _PATIENT_ID in texts and texts[_PATIENT_ID] is None:
        raise UnusableIdentifier("PatientID (0010,0020) is not text of at most 256 bytes")
    patient_id = texts.get(_PATIENT_ID) or ""
    study_uid, series_uid, sop_uid = (_identifying_uid(texts, tag) for tag in _IDENTIFYING_UIDS)
    return DicomInstance(
        patient_id=patient_id,
        study_instance_uid=study_uid,
        series_instance_uid=series_uid,
        sop_instance_uid=sop_uid,
        sop_class_uid=texts.get(_SOP_CLASS_UID) or "",
        transfer_syntax_uid=transfer_syntax_uid,
        public_ids=public_ids(patient_id, study_uid, series_uid, sop_uid),
        main_tags=_main_tags(texts),
        identifiers=_identifiers(texts),
        sequences=(None, None, _series_sequence(outline, characters), None),
        pixel_data_offset=outline.pixel_data_at,
        pixel_data_vr=_unusual_pixel_data_vr(outline, texts, transfer_syntax_uid),
        index_in_series=_index_in_series(texts),
        expected_instances=_expected_instances(texts),
    )


def _identifying_uid(texts: Texts, tag: int) -> str:
    keyword = f"{_IDENTIFYING_UIDS[tag]} {name(tag)}"
    if tag in texts and texts[tag] is None:
        raise UnusableIdentifier(f"{keyword} is not text of at most 256 bytes")
    uid = texts.get(tag)
    if not uid:
        raise MissingIdentifier(f"{keyword} is {'empty' if tag in texts else 'absent'}")
    return uid


def _main_tags(texts: Texts) -> tuple[tuple[TagValue, ...], ...]:
    return tuple(
        tuple(TagValue(group, element, text) for tag, group, element in level if (text := texts.get(tag)) is not None)
        for level in _MAIN
    )


def _identifiers(texts: Texts) -> tuple[tuple[TagValue, ...], ...]:
    return tuple(
        tuple(
            TagValue(group, element, normalise_identifier(text))
            for tag, group, element in level
            if (text := texts.get(tag)) is not None
        )
        for level in _IDENTIFYING
    )


def _series_sequence(outline: Outline, characters: CharacterSet) -> str | None:
    """Metadata 16 of the series; the other levels have no main DICOM tag that is a sequence."""
    if _REQUEST_ATTRIBUTES not in outline.sequences:
        return None
    return main_sequences(_REQUEST_ATTRIBUTES, *outline.sequences[_REQUEST_ATTRIBUTES], characters)


def _index_in_series(texts: Texts) -> str | None:
    """Metadata 1. An InstanceNumber that is present but unusable is not replaced by the ImageIndex."""
    text = texts.get(_INSTANCE_NUMBER if _INSTANCE_NUMBER in texts else _IMAGE_INDEX)
    return None if text is None else text.strip()


def _expected_instances(texts: Texts) -> int | None:
    """Metadata 4: the first rule whose tags are all integers decides. Source: interop/ingest.md, section 4."""
    for tags in (
        (_IMAGES_IN_ACQUISITION, _NUMBER_OF_TEMPORAL_POSITIONS),
        (_NUMBER_OF_SLICES, _NUMBER_OF_TIME_SLICES),
        (_CARDIAC_NUMBER_OF_IMAGES,),
    ):
        numbers = [_integer(texts.get(tag)) for tag in tags]
        if None not in numbers:
            product = prod(number for number in numbers if number is not None)
            return product if product > 0 else None
    return None


def _integer(text: str | None) -> int | None:
    text = (text or "").strip()
    return int(text) if _INTEGER.fullmatch(text) else None


def _unusual_pixel_data_vr(outline: Outline, texts: Texts, transfer_syntax_uid: str) -> str | None:
    """Metadata 17: OB or OW where the standard says the other one (PS3.5, Annex A).

    Native pixel data: OW above 8 bits allocated, else OB, although the standard allows both there; encapsulated: OB.
    In implicit VR the file says nothing, and without BitsAllocated nobody knows what would be usual.
    """
    if outline.pixel_data_at is None or outline.pixel_data_vr not in (b"OB", b"OW"):
        return None
    usual = b"OB"
    if transfer_syntax_uid in (_EXPLICIT_VR_LITTLE_ENDIAN, _EXPLICIT_VR_BIG_ENDIAN):
        bits_allocated = _integer(texts.get(_BITS_ALLOCATED))
        if bits_allocated is None:
            return None
        usual = b"OW" if bits_allocated > 8 else b"OB"
    return None if outline.pixel_data_vr == usual else outline.pixel_data_vr.decode("ascii")
