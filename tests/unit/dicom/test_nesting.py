"""The walk: every length and delimiter is checked, and nothing is recursive."""

import pytest

from cluster.dicom.nesting import MAXIMUM_DEPTH
from cluster.errors import NotDicom, TruncatedDicom

from .build import (
    IMPLICIT_LITTLE,
    JPEG_BASELINE,
    SEQUENCE_END,
    data_set,
    element,
    identifiers,
    implicit,
    item,
    part10,
    read,
    undefined_item,
)

SEQUENCE = 0x00081140
PIXEL_DATA = 0x7FE00010
UNDEFINED = 0xFFFFFFFF

NAME = element(0x00081150, "UI", b"1.2 ")
OFFSET = len(part10(data_set()))


def implicit_data_set(tail: bytes) -> bytes:
    body = b"".join(implicit(tag, value) for tag, (_, value) in sorted(identifiers().items()))
    return part10(body + tail, IMPLICIT_LITTLE)


@pytest.mark.parametrize(
    ("tail", "message"),
    [
        (element(0x00204000, "LT", b"abc", length=4), f"(0020,4000) at offset {OFFSET} claims 4 bytes, 3 left"),
        (element(PIXEL_DATA, "OW", b"abc", length=9000), f"(7FE0,0010) at offset {OFFSET} claims 9000 bytes, 3 left"),
        (
            element(PIXEL_DATA, "OW", b"ab") + element(0xFFFCFFFC, "OB", b"", length=2),
            f"(FFFC,FFFC) at offset {OFFSET + 14} claims 2 bytes, 0 left",
        ),
        (element(SEQUENCE, "SQ", b"", length=8), f"(0008,1140) at offset {OFFSET + 12} claims 8 bytes, 0 left"),
        (
            element(SEQUENCE, "SQ", implicit(0xFFFEE000, b"", length=9)) + bytes(100),
            f"(FFFE,E000) at offset {OFFSET + 20} claims 9 bytes, 0 left",
        ),
        (
            element(SEQUENCE, "SQ", item(element(0x00081150, "UI", b"1.2", length=4))) + bytes(100),
            f"(0008,1150) at offset {OFFSET + 28} claims 4 bytes, 3 left",
        ),
        (
            element(SEQUENCE, "SQ", item(NAME), length=UNDEFINED),
            f"(0008,1140): no delimiter before offset {OFFSET + 32}",
        ),
        (
            element(SEQUENCE, "SQ", implicit(0xFFFEE000, NAME, length=UNDEFINED), length=UNDEFINED),
            f"(FFFE,E000): no delimiter before offset {OFFSET + 32}",
        ),
        (
            element(PIXEL_DATA, "OB", item() + item(b"abcd"), length=UNDEFINED),
            f"(7FE0,0010): fragments without sequence delimiter before offset {OFFSET + 32}",
        ),
        (
            element(PIXEL_DATA, "OB", item() + implicit(0xFFFEE000, b"ab", length=500), length=UNDEFINED),
            f"(FFFE,E000) at offset {OFFSET + 28} claims 500 bytes, 2 left",
        ),
        (b"\x20\0\0\x40", f"element at offset {OFFSET}: 4 bytes left for a header of 8"),
        (element(PIXEL_DATA, "OW", b"")[:10], f"(7FE0,0010) at offset {OFFSET}: 10 bytes left for a header of 12"),
    ],
)
def test_truncated(tail: bytes, message: str) -> None:
    with pytest.raises(TruncatedDicom) as refused:
        read(part10(data_set(tail=tail)))

    assert str(refused.value) == message


@pytest.mark.parametrize(
    "tail",
    [
        implicit(0xFFFEE00D, b""),
        item(NAME),
        SEQUENCE_END,
        element(SEQUENCE, "SQ", NAME + SEQUENCE_END, length=UNDEFINED),
        element(SEQUENCE, "SQ", item() + SEQUENCE_END),
        element(SEQUENCE, "SQ", item(implicit(0xFFFEE00D, b""))),
        element(SEQUENCE, "SQ", item(item())),
        element(SEQUENCE, "UT", item() + SEQUENCE_END, length=UNDEFINED),
        element(PIXEL_DATA, "OB", NAME + SEQUENCE_END, length=UNDEFINED),
    ],
)
def test_items_and_delimiters_where_they_must_not_be(tail: bytes) -> None:
    with pytest.raises(NotDicom):
        read(part10(data_set(tail=tail)))


@pytest.mark.parametrize(
    "tail",
    [
        element(SEQUENCE, "SQ", b""),
        element(SEQUENCE, "SQ", SEQUENCE_END, length=UNDEFINED),
        element(SEQUENCE, "SQ", item(NAME) + undefined_item(NAME)),
        element(SEQUENCE, "SQ", undefined_item(element(SEQUENCE, "SQ", item(NAME) + SEQUENCE_END, length=UNDEFINED))),
        # UN of undefined length is implicit VR inside, further down too
        element(
            0x00091001,
            "UN",
            undefined_item(implicit(0x00091002, b"ab"), implicit(SEQUENCE, item(implicit(0x00100020, b"X "))))
            + SEQUENCE_END,
            length=UNDEFINED,
        ),
        element(SEQUENCE, "SQ", item(element(0x00091001, "UN", item(b"") + SEQUENCE_END, length=UNDEFINED))),
        # UN of defined length is opaque
        element(0x00091001, "UN", b"\xfe\xff\0\xe0\xff\xff\0\0garbage"),
        # VRs that nobody knows: the long form if they look like one, the short form if not
        element(0x00091001, "ZZ", b"abcd"),
        b"\x09\0\x01\x10??\x04\0abcd",
        b"\x09\0\x01\x10\0\0\x04\0abcd",
        # Fragments, in an icon too
        element(PIXEL_DATA, "OB", item() + item(b"abcd") + SEQUENCE_END, length=UNDEFINED),
        element(
            0x00880200,
            "SQ",
            item(element(PIXEL_DATA, "OB", item(b"ab") + SEQUENCE_END, length=UNDEFINED), NAME),
        ),
        element(PIXEL_DATA, "OW", bytes(40_000)) + element(0xFFFCFFFC, "OB", bytes(10)),
        # The end of a window may fall anywhere
        *(element(0x00091001, "OB", bytes(size)) + NAME for size in range(15_900, 16_400, 7)),
    ],
)
def test_accepted(tail: bytes) -> None:
    file = part10(data_set(tail=tail + element(0x00200013, "IS", b"7 ")), JPEG_BASELINE)

    assert read(file).index_in_series == "7"


@pytest.mark.parametrize(
    "tail",
    [
        implicit(SEQUENCE, item(implicit(0x00081150, b"1.2 "))),
        implicit(0x00091001, undefined_item(implicit(0x00091002, b"ab")) + SEQUENCE_END, length=UNDEFINED),
        # A private element of defined length could be a sequence, but nothing says so
        implicit(0x00091001, b"\xfe\xff\0\xe0\xff\xff\0\0garbage"),
    ],
)
def test_accepted_in_implicit_vr(tail: bytes) -> None:
    assert read(implicit_data_set(tail + implicit(0x00200013, b"7 "))).index_in_series == "7"


def test_known_sequence_in_implicit_vr_is_entered() -> None:
    with pytest.raises(TruncatedDicom, match=r"\(0008,1150\)"):
        read(implicit_data_set(implicit(SEQUENCE, item(implicit(0x00081150, b"1.2", length=4)))))


def nested(depth: int) -> bytes:
    opening = element(SEQUENCE, "SQ", implicit(0xFFFEE000, b"", length=UNDEFINED), length=UNDEFINED)
    return opening * depth + (implicit(0xFFFEE00D, b"") + SEQUENCE_END) * depth


def test_depth() -> None:
    assert read(part10(data_set(tail=nested(MAXIMUM_DEPTH)))).patient_id == "ABC"

    with pytest.raises(NotDicom, match=f"nested more than {MAXIMUM_DEPTH} deep"):
        read(part10(data_set(tail=nested(MAXIMUM_DEPTH + 1))))


@pytest.mark.parametrize("closed", [True, False])
def test_a_hundred_thousand_sequences_in_each_other_are_refused(closed: bool) -> None:
    bomb = nested(100_000)

    with pytest.raises(NotDicom, match="nested"):
        read(part10(data_set(tail=bomb if closed else bomb[:2_000_000])))


def test_metadata_16_of_the_deepest_allowed_sequence() -> None:
    # Given the one sequence that is turned into JSON, with all of the others inside
    inner = nested(MAXIMUM_DEPTH - 1)
    sequence = element(0x00400275, "SQ", undefined_item(inner) + SEQUENCE_END, length=UNDEFINED)

    json = read(part10(data_set(tail=sequence))).sequences[2]

    assert json is not None
    assert json.count("ReferencedImageSequence") == MAXIMUM_DEPTH - 1
