"""Transfer syntaxes, and the metadata that come from them or from numbers: 1, 4, 9, 14, 17."""

import io
import zlib
from struct import pack

import pytest

from cluster.dicom.header import read_part10

from .build import (
    DEFLATED,
    EXPLICIT_BIG,
    IMPLICIT_LITTLE,
    JPEG_BASELINE,
    data_set,
    element,
    identifiers,
    implicit,
    part10,
    read,
    read_data_set,
)


def test_implicit_vr() -> None:
    body = b"".join(implicit(tag, value) for tag, (_, value) in sorted(identifiers().items()))
    body += implicit(0x00280100, pack("<H", 8)) + implicit(0x00541330, pack("<H", 12))
    file = part10(body + implicit(0x7FE00010, bytes(4)), IMPLICIT_LITTLE)

    instance = read(file)

    assert (instance.patient_id, instance.sop_instance_uid) == ("ABC", "1.2.3.4")
    assert instance.index_in_series == "12"
    assert instance.pixel_data_offset == len(file) - 12
    assert instance.pixel_data_vr is None


def test_big_endian() -> None:
    body = data_set((0x00541330, "US", pack(">H", 12)), order=">") + element(0x7FE00010, "OW", bytes(4), order=">")

    instance = read(part10(body, EXPLICIT_BIG))

    assert (instance.patient_id, instance.index_in_series) == ("ABC", "12")
    assert instance.pixel_data_offset == len(part10(body, EXPLICIT_BIG)) - 16


def test_unknown_transfer_syntax_is_explicit_little_endian() -> None:
    assert read(part10(data_set(), "1.2.3.4.5")).transfer_syntax_uid == "1.2.3.4.5"


def test_deflated_has_no_pixel_data_offset() -> None:
    body = data_set((0x00280100, "US", pack("<H", 8)), (0x7FE00010, "OW", bytes(2_000_000)))
    compressor = zlib.compressobj(wbits=-15)
    deflated = compressor.compress(body) + compressor.flush()

    instance = read(part10(deflated + b"\0" * (len(deflated) % 2), DEFLATED))

    assert instance.patient_id == "ABC"
    assert instance.transfer_syntax_uid == DEFLATED
    assert instance.pixel_data_offset is None
    assert instance.pixel_data_vr is None


def test_position_of_the_stream_does_not_matter() -> None:
    file = part10(data_set())
    stream = io.BytesIO(file)
    stream.seek(0, io.SEEK_END)

    assert read_part10(stream, len(file)) == read(file)


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ([(0x00200013, "IS", b" 12 ")], "12"),
        ([(0x00200013, "LO", b"\t12\r\n ")], "12"),
        ([(0x00200013, "US", b"")], None),
        ([(0x00200013, "IS", b"")], ""),
        ([(0x00200013, "IS", b"x" * 300), (0x00541330, "US", b"\x05\0")], None),
        ([(0x00200013, "OB", b"12"), (0x00541330, "US", b"\x05\0")], None),
        ([(0x00200013, "IS", b""), (0x00541330, "US", b"\x05\0")], ""),
        ([(0x00541330, "US", b"\x05\0")], "5"),
        ([], None),
    ],
)
def test_index_in_series(more: list[tuple[int, str, bytes]], expected: str | None) -> None:
    assert read_data_set(*more).index_in_series == expected


IMAGES_IN_ACQUISITION = (0x00201002, "IS")
TEMPORAL_POSITIONS = (0x00200105, "IS")
SLICES = (0x00540081, "US")
TIME_SLICES = (0x00540101, "US")
CARDIAC_IMAGES = (0x00181090, "IS")


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ([(*IMAGES_IN_ACQUISITION, b"10"), (*TEMPORAL_POSITIONS, b"3 ")], 30),
        ([(*IMAGES_IN_ACQUISITION, b"10")], None),
        ([(*IMAGES_IN_ACQUISITION, b"10"), (*TEMPORAL_POSITIONS, b"x "), (*CARDIAC_IMAGES, b"5 ")], 5),
        ([(*IMAGES_IN_ACQUISITION, b"10"), (*TEMPORAL_POSITIONS, b"0 "), (*CARDIAC_IMAGES, b"5 ")], None),
        ([(*IMAGES_IN_ACQUISITION, b"10"), (*SLICES, b"\x04\0"), (*TIME_SLICES, b"\x02\0")], 8),
        ([(*CARDIAC_IMAGES, b" 20 ")], 20),
        ([(*CARDIAC_IMAGES, b"-3")], None),
        ([(*CARDIAC_IMAGES, b"2.5 ")], None),
        ([(*CARDIAC_IMAGES, b"1\\2 ")], None),
        ([], None),
    ],
)
def test_expected_instances(more: list[tuple[int, str, bytes]], expected: int | None) -> None:
    assert read_data_set(*more).expected_instances == expected


@pytest.mark.parametrize(
    ("transfer_syntax", "bits_allocated", "vr", "unusual"),
    [
        ("1.2.840.10008.1.2.1", 16, "OW", None),
        ("1.2.840.10008.1.2.1", 16, "OB", "OB"),
        ("1.2.840.10008.1.2.1", 8, "OB", None),
        ("1.2.840.10008.1.2.1", 8, "OW", "OW"),
        ("1.2.840.10008.1.2.1", None, "OW", None),
        ("1.2.840.10008.1.2.1", 16, "UN", None),
        (JPEG_BASELINE, 16, "OB", None),
        (JPEG_BASELINE, 16, "OW", "OW"),
    ],
)
def test_unusual_pixel_data_vr(transfer_syntax: str, bits_allocated: int | None, vr: str, unusual: str | None) -> None:
    more = [] if bits_allocated is None else [(0x00280100, "US", pack("<H", bits_allocated))]
    file = part10(data_set(*more, tail=element(0x7FE00010, vr, bytes(8))), transfer_syntax)

    instance = read(file)

    assert instance.pixel_data_vr == unusual
    assert instance.pixel_data_offset == len(file) - 20


@pytest.mark.parametrize("tag", [0x7FE00008, 0x7FE00009])
def test_float_pixel_data_is_not_pixel_data(tag: int) -> None:
    assert read_data_set(tail=element(tag, "OF", bytes(8))).pixel_data_offset is None
