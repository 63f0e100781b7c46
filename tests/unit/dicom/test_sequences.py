"""Metadata 16: interop/tags.md, section 3."""

import json
from struct import pack

import pytest

from cluster.dicom.levels import Level

from .build import (
    EXPLICIT_BIG,
    EXPLICIT_LITTLE,
    IMPLICIT_LITTLE,
    SEQUENCE_END,
    data_set,
    element,
    identifiers,
    implicit,
    item,
    part10,
    read,
    read_data_set,
    undefined_item,
)

REQUEST_ATTRIBUTES = 0x00400275
REQUESTED_PROCEDURE_ID = 0x00401001
UNDEFINED = 0xFFFFFFFF


def series_sequence(file: bytes) -> str:
    sequences = read(file).sequences
    assert [text is None for text in sequences] == [True, True, False, True]
    text = sequences[Level.SERIES]
    assert text is not None
    return text


def items(file: bytes) -> list[dict[str, dict[str, object]]]:
    content: list[dict[str, dict[str, object]]]
    content = json.loads(series_sequence(file))["Sequences"]["0040,0275"]["Value"]
    return content


PUBLISHED = (
    '{"Sequences":{"0040,0275":{"Name":"RequestAttributesSequence","Type":"Sequence","Value":[{"0040,1001":'
    '{"Name":"RequestedProcedureID","Type":"String","Value":"A10"}}]}},"Version":1}'
)
PROCEDURE = element(REQUESTED_PROCEDURE_ID, "SH", b"A10 ")
IMPLICIT_PROCEDURE = implicit(REQUESTED_PROCEDURE_ID, b"A10 ")


@pytest.mark.parametrize(
    "sequence",
    [
        element(REQUEST_ATTRIBUTES, "SQ", item(PROCEDURE)),
        element(REQUEST_ATTRIBUTES, "SQ", undefined_item(PROCEDURE)),
        element(REQUEST_ATTRIBUTES, "SQ", item(PROCEDURE) + SEQUENCE_END, length=UNDEFINED),
        element(REQUEST_ATTRIBUTES, "SQ", undefined_item(PROCEDURE) + SEQUENCE_END, length=UNDEFINED),
        element(REQUEST_ATTRIBUTES, "UN", undefined_item(IMPLICIT_PROCEDURE) + SEQUENCE_END, length=UNDEFINED),
    ],
)
def test_published_example_in_every_encoding(sequence: bytes) -> None:
    assert series_sequence(part10(data_set(tail=sequence))) == PUBLISHED
    assert series_sequence(part10(data_set(tail=sequence + element(0x7FE00010, "OW", bytes(9))))) == PUBLISHED


@pytest.mark.parametrize("defined", [True, False])
def test_implicit_vr(defined: bool) -> None:
    body = b"".join(implicit(tag, value) for tag, (_, value) in sorted(identifiers().items()))
    content = item(IMPLICIT_PROCEDURE)
    body += (
        implicit(REQUEST_ATTRIBUTES, content)
        if defined
        else implicit(REQUEST_ATTRIBUTES, content + SEQUENCE_END, length=UNDEFINED)
    )

    assert series_sequence(part10(body, IMPLICIT_LITTLE)) == PUBLISHED


def test_big_endian() -> None:
    inner = element(REQUESTED_PROCEDURE_ID, "SH", b"A10 ", order=">")
    content = pack(">HHI", 0xFFFE, 0xE000, len(inner)) + inner
    body = data_set(order=">") + element(REQUEST_ATTRIBUTES, "SQ", content, order=">")

    assert series_sequence(part10(body, EXPLICIT_BIG)) == PUBLISHED


def test_several_items_and_types() -> None:
    file = part10(
        data_set(
            (0x00080005, "CS", b"ISO_IR 100"),
            (
                REQUEST_ATTRIBUTES,
                "SQ",
                item(
                    element(0x00320000, "UL", b"\1\0\0\0"),
                    element(0x00321060, "LO", b"T\xeate  "),
                    element(0x00400007, "LO", b"x" * 257),
                    element(0x00400008, "SQ", undefined_item(element(0x00080100, "SH", b"C1")) + item()),
                )
                + item()
                + item(
                    element(0x00090010, "LO", b"ACME"),
                    element(0x00091001, "LO", b"private "),
                    element(0x00091002, "OB", b"\1\2"),
                    element(0x00280010, "US", b"\1\0\2\0"),
                    element(0x00284000, "LT", b"text"),
                    element(0x00420011, "OB", SEQUENCE_END, length=UNDEFINED),
                ),
            ),
        )
    )

    assert items(file) == [
        {
            "0032,0000": {"Name": "GenericGroupLength", "Type": "String", "Value": "1"},
            "0032,1060": {"Name": "RequestedProcedureDescription", "Type": "String", "Value": "Tête"},
            "0040,0007": {"Name": "ScheduledProcedureStepDescription", "Type": "TooLong", "Value": None},
            "0040,0008": {
                "Name": "ScheduledProtocolCodeSequence",
                "Type": "Sequence",
                "Value": [{"0008,0100": {"Name": "CodeValue", "Type": "String", "Value": "C1"}}, {}],
            },
        },
        {},
        {
            "0009,0010": {"Name": "PrivateCreator", "Type": "String", "Value": "ACME"},
            "0009,1001": {
                "Name": "Unknown Tag & Data",
                "PrivateCreator": "ACME",
                "Type": "String",
                "Value": "private",
            },
            "0009,1002": {"Name": "Unknown Tag & Data", "PrivateCreator": "ACME", "Type": "Null", "Value": None},
            "0028,0010": {"Name": "Rows", "Type": "String", "Value": "1\\2"},
            "0028,4000": {"Name": "RETIRED_ImagePresentationComments", "Type": "String", "Value": "text"},
            "0042,0011": {"Name": "EncapsulatedDocument", "Type": "Null", "Value": None},
        },
    ]
    assert '"T\\u00eate"' in series_sequence(file)


def test_present_but_empty() -> None:
    assert items(part10(data_set((REQUEST_ATTRIBUTES, "SQ", b"")))) == []


def test_no_row_and_no_metadata_for_what_is_no_sequence() -> None:
    instance = read_data_set((REQUEST_ATTRIBUTES, "UN", item(IMPLICIT_PROCEDURE)))

    assert instance.sequences == (None, None, None, None)
    assert not [tag for tag in instance.main_tags[Level.SERIES] if tag.group == 0x0040]


def test_a_sequence_too_long_to_be_read_has_no_metadata() -> None:
    sequence = element(REQUEST_ATTRIBUTES, "SQ", item(element(0x00091001, "OB", bytes(100_000))))

    assert read(part10(data_set(tail=sequence), EXPLICIT_LITTLE)).sequences[Level.SERIES] is None
