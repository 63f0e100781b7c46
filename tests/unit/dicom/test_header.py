"""read_part10 against interop/identifiers.md and tags.md: the identifiers, and what becomes a row."""

from struct import pack

import pytest

from cluster.dicom.levels import Level
from cluster.errors import MissingIdentifier, UnusableIdentifier

from .build import (
    CT_IMAGE,
    data_set,
    element,
    identifier,
    item,
    part10,
    read,
    read_data_set,
    row,
    undefined_item,
)

PATIENT_NAME = 0x00100010
PATIENT_ID = 0x00100020
SPECIFIC_CHARACTER_SET = 0x00080005


def test_all_fields() -> None:
    # Given an image with a tag of every level
    file = part10(
        data_set(
            (PATIENT_NAME, "PN", b"Doe^John"),
            (0x00080020, "DA", b"20240102"),
            (0x00080060, "CS", b"CT"),
            (0x00200013, "IS", b"7 "),
            (0x00280100, "US", pack("<H", 16)),
            (0x7FE00010, "OW", bytes(100)),
        )
    )

    # When
    instance = read(file)

    # Then
    assert instance.patient_id == "ABC"
    assert instance.study_instance_uid == "1.2.3.1"
    assert instance.series_instance_uid == "1.2.3.2"
    assert instance.sop_instance_uid == "1.2.3.4"
    assert instance.sop_class_uid == CT_IMAGE
    assert instance.transfer_syntax_uid == "1.2.840.10008.1.2.1"
    assert instance.public_ids.patient == "3c01bdbb-26f358ba-b27f2679-24aa2c9a-03fcfdb8"
    assert instance.main_tags == (
        ((0x0010, 0x0010, "Doe^John"), (0x0010, 0x0020, "ABC")),
        ((0x0008, 0x0020, "20240102"), (0x0020, 0x000D, "1.2.3.1")),
        ((0x0008, 0x0060, "CT"), (0x0020, 0x000E, "1.2.3.2")),
        ((0x0008, 0x0018, "1.2.3.4"), (0x0020, 0x0013, "7")),
    )
    assert instance.identifiers == (
        ((0x0010, 0x0010, "DOE^JOHN"), (0x0010, 0x0020, "ABC")),
        (
            (0x0008, 0x0020, "20240102"),
            (0x0010, 0x0010, "DOE^JOHN"),
            (0x0010, 0x0020, "ABC"),
            (0x0020, 0x000D, "1.2.3.1"),
        ),
        ((0x0020, 0x000E, "1.2.3.2"),),
        ((0x0008, 0x0018, "1.2.3.4"),),
    )
    assert instance.sequences == (None, None, None, None)
    assert instance.pixel_data_offset == file.index(b"\xe0\x7f\x10\x00OW")
    assert instance.pixel_data_vr is None
    assert instance.index_in_series == "7"
    assert instance.expected_instances is None


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (b"ABC ", "ABC"),
        (b"ABC\0", "ABC"),
        (b"ABC     ", "ABC"),
        (b"AB\0C", "AB"),
        (b"AB\0 ", "AB"),
        # Spaces are padding only at the very end, and at the end of a value of odd length there is DCMTK's NUL
        (b"AB \0", "AB "),
        (b"AB ", "AB "),
        (b"AB\t ", "AB\t"),
        (b" ABC", " ABC"),
        (b"A \\BCDE", "A \\BCDE"),
        (b"A|B ", "A|B"),
        (b"a\tb\x01", "a\tb\x01"),
        (b"    ", ""),
        (b"", ""),
        (None, ""),
    ],
)
def test_patient_id_as_text(value: bytes | None, text: str) -> None:
    instance = read_data_set(patient_id=value)

    assert instance.patient_id == text
    assert row(instance, Level.PATIENT, PATIENT_ID) == (None if value is None else text)


@pytest.mark.parametrize(
    ("specific", "value"),
    [(b"ISO_IR 100", b"\xc9RIC"), (b"ISO_IR 192", "ÉRIC".encode()), (None, b"\xc9RIC")],
)
def test_the_same_patient_in_three_character_sets(specific: bytes | None, value: bytes) -> None:
    more = [] if specific is None else [(SPECIFIC_CHARACTER_SET, "CS", specific)]

    instance = read_data_set(*more, patient_id=value)

    assert instance.public_ids.patient == "a45728b6-1bf7b81a-0ae292d9-58f711fb-7290eed2"
    assert row(instance, Level.PATIENT, PATIENT_ID) == "ÉRIC"
    assert identifier(instance, Level.PATIENT, PATIENT_ID) == "RIC"


def test_unsupported_character_set_drops_what_is_not_ascii() -> None:
    instance = read_data_set((SPECIFIC_CHARACTER_SET, "CS", b"ISO_IR 159"), patient_id=b"\xc9RIC")

    assert instance.public_ids.patient == "559d47bf-91cbefaf-91caf39e-c75a6e6c-f3cb29e0"


def test_default_encoding() -> None:
    file = part10(data_set(patient_id=b"\xbb"))

    assert read(file).patient_id == "»"
    assert read(file, default_encoding="Cyrillic").patient_id == "Л"


@pytest.mark.parametrize("value", [b"1.2.3.9\0", b" 1.2.3.9", b"1.2. 3.9", b"1.2\t.3.9", b"1.2.3.9\0x"])
def test_spaces_and_padding_vanish_from_uids(value: bytes) -> None:
    assert read_data_set(study=value).study_instance_uid == "1.2.3.9"
    assert read_data_set(sop=value).sop_instance_uid == "1.2.3.9"
    assert row(read_data_set(series=value), Level.SERIES, 0x0020000E) == "1.2.3.9"


@pytest.mark.parametrize("value", [None, b"", b"  ", b"\0\0", b"\x001.2"])
@pytest.mark.parametrize(
    ("key", "named"),
    [
        ("study", r"StudyInstanceUID \(0020,000D\)"),
        ("series", r"SeriesInstanceUID \(0020,000E\)"),
        ("sop", r"SOPInstanceUID \(0008,0018\)"),
    ],
)
def test_missing_uid_is_named(key: str, named: str, value: bytes | None) -> None:
    with pytest.raises(MissingIdentifier, match=f"^{named} is {'absent' if value is None else 'empty'}$"):
        read_data_set(**{key: value})


def test_patient_id_of_256_bytes_is_the_longest() -> None:
    assert read_data_set(patient_id=b"x" * 256).patient_id == "x" * 256
    assert read_data_set(patient_id=b"\xe9" * 128).patient_id == "é" * 128

    for unusable in (b"x" * 257, b"\xe9" * 129):
        with pytest.raises(UnusableIdentifier, match=r"PatientID \(0010,0020\)"):
            read_data_set(patient_id=unusable)


def test_padding_does_not_count() -> None:
    assert read_data_set(patient_id=b"x" * 256 + b" " * 1000).patient_id == "x" * 256
    assert read_data_set(patient_id=b"x\0" + b"y" * 1000).patient_id == "x"


def test_value_that_is_not_even_read() -> None:
    # 64 KiB of padding would be an empty value, but nobody looks
    file = part10(data_set(tail=element(0x00204000, "UT", b" " * 65_538)))

    assert row(read(file), Level.INSTANCE, 0x00204000) is None


@pytest.mark.parametrize("key", ["study", "series", "sop"])
def test_uid_that_the_index_cannot_hold(key: str) -> None:
    with pytest.raises(UnusableIdentifier):
        read_data_set(**{key: b"1" * 258})


@pytest.mark.parametrize("vr", ["OB", "UV", "ZZ"])
def test_identifier_that_is_no_text(vr: str) -> None:
    with pytest.raises(UnusableIdentifier):
        read_data_set(patient_id=None, tail=element(PATIENT_ID, vr, bytes(8)))


def test_identifier_that_is_a_sequence_is_none() -> None:
    assert read_data_set(patient_id=None, tail=element(PATIENT_ID, "SQ", item())).patient_id == ""

    with pytest.raises(MissingIdentifier, match=r"StudyInstanceUID .* is absent"):
        read_data_set(study=None, tail=element(0x0020000D, "SQ", item()))


def test_value_of_more_than_256_bytes_has_no_row() -> None:
    instance = read_data_set(
        (SPECIFIC_CHARACTER_SET, "CS", b"ISO_IR 192"),
        (0x00081030, "LO", "é".encode() * 200),
        (0x0008103E, "LO", b"x" * 256),
    )

    assert row(instance, Level.STUDY, 0x00081030) is None
    assert identifier(instance, Level.STUDY, 0x00081030) is None
    assert row(instance, Level.SERIES, 0x0008103E) == "x" * 256


@pytest.mark.parametrize(
    ("tag", "vr", "value", "text"),
    [
        (0x00200013, "IS", b" 7", " 7"),
        (0x00200013, "IS", b"abc ", "abc"),
        (0x00200013, "US", pack("<HH", 7, 65535), "7\\65535"),
        (0x00200013, "SS", pack("<h", -1), "-1"),
        (0x00200013, "UL", pack("<I", 2**32 - 1), "4294967295"),
        (0x00200013, "SL", pack("<i", -(2**31)), "-2147483648"),
        (0x00200013, "FL", pack("<I", 0x4E9CAD8F), "1314310016"),
        (0x00200013, "FL", pack("<f", 0.5), "0.5"),
        (0x00200013, "FD", pack("<2d", 0.1, 2.0), "0.10000000000000001\\2"),
        (0x00200013, "US", b"", None),
        (0x00200013, "US", b"\x07\0\x01", "7\\1"),
        (0x00200013, "UL", b"\x07\0", None),
        (0x00200013, "FL", pack("<f", 0.1), "0.10000000149011612"),
        (0x00200013, "AT", pack("<HHHH", 0x0018, 0x00FE, 1, 2), "0018,00fe"),
        (0x00200013, "AT", b"", None),
        (0x00200013, "ZZ", b"7 ", None),
        (0x00200013, "UV", pack("<Q", 7), None),
        (0x00200013, "OB", b"7 ", None),
        (0x00200013, "OW", b"7 ", None),
        (0x00200013, "UN", b"7\0", "7"),
        (0x00200013, "UN", b"7 ", "7 "),
        (0x00200013, "UN", b"7\0\0 ", "7"),
        (0x00200032, "DS", b"-1.50\\ 2\\30 ", "-1.50\\ 2\\30"),
        (0x00204000, "LT", b" two\r\nlines ", " two\r\nlines"),
        (0x00080012, "DA", b"tomorrow", "tomorrow"),
        (0x00541330, "UN", b"\x07\0", None),
    ],
)
def test_row_by_vr(tag: int, vr: str, value: bytes, text: str | None) -> None:
    assert row(read_data_set((tag, vr, value)), Level.INSTANCE, tag) == text


def test_orientation_is_a_tag_of_the_series_and_of_the_instance() -> None:
    instance = read_data_set((0x00200037, "DS", b"1\\0\\0\\0\\1\\0 "))

    assert row(instance, Level.SERIES, 0x00200037) == row(instance, Level.INSTANCE, 0x00200037) == "1\\0\\0\\0\\1\\0"


def test_utf8_with_bad_bytes_skips_them() -> None:
    instance = read_data_set((SPECIFIC_CHARACTER_SET, "CS", b"ISO_IR 192"), (PATIENT_NAME, "PN", b"Do\xffe^\xc3\xa9 "))

    assert row(instance, Level.PATIENT, PATIENT_NAME) == "Doe^é"


def test_only_the_top_level_counts() -> None:
    nested = undefined_item(element(PATIENT_ID, "LO", b"OTHER "), element(0x7FE00010, "OW", bytes(2)))

    instance = read_data_set((0x00081140, "SQ", nested))

    assert instance.patient_id == "ABC"
    assert instance.pixel_data_offset is None


@pytest.mark.parametrize("second", [b"LAST", b"x" * 70_000])
def test_an_element_that_comes_twice_counts_as_the_first_time(second: bytes) -> None:
    pixels = element(0x7FE00010, "OW", bytes(2))

    instance = read_data_set(tail=element(PATIENT_ID, "UT", second) + pixels + pixels)

    assert instance.patient_id == "ABC"
    assert instance.pixel_data_offset == len(part10(data_set())) + 8 + 4 + len(second)


def test_absent_sop_class() -> None:
    assert read_data_set(sop_class=None).sop_class_uid == ""
