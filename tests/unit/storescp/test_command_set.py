"""Our command sets against pynetdicom's."""

import struct
from io import BytesIO

import pytest
from pynetdicom.dimse_messages import C_ECHO_RQ, C_ECHO_RSP, C_STORE_RQ, C_STORE_RSP, DIMSEMessage
from pynetdicom.dimse_primitives import C_ECHO, C_STORE
from pynetdicom.dsutils import decode as decode_dataset

from workers.upper_layer import command_set
from workers.upper_layer.command_set import CommandSet
from workers.upper_layer.failures import ProtocolViolation

CT = "1.2.840.10008.5.1.4.1.1.2"


def encoded_by_pynetdicom(message: DIMSEMessage, primitive: C_STORE | C_ECHO) -> bytes:
    message.primitive_to_message(primitive)
    values = [value for data in message.encode_msg(1, 16384) for _, value in data.presentation_data_value_list]
    return b"".join(value[1:] for value in values if value[0] & 1)


def store_primitive() -> C_STORE:
    primitive = C_STORE()
    primitive.AffectedSOPClassUID = CT
    primitive.AffectedSOPInstanceUID = "1.2.3"
    primitive.Priority = 0
    primitive.DataSet = BytesIO(b"\x08\x00\x05\x00\x00\x00\x00\x00")
    return primitive


@pytest.mark.parametrize("message_id", [0, 1, 65535])
def test_store_request_is_what_pynetdicom_writes(message_id: int) -> None:
    primitive = store_primitive()
    primitive.MessageID = message_id

    expected = encoded_by_pynetdicom(C_STORE_RQ(), primitive)

    assert command_set.store_request(message_id, CT, "1.2.3")[12:] == expected[12:].replace(
        struct.pack("<HHIH", 0, 0x0800, 2, 0x0000), struct.pack("<HHIH", 0, 0x0800, 2, 0x0001)
    )
    assert command_set.decode(expected) == CommandSet(
        command_set.C_STORE_RQ, message_id=message_id, sop_class_uid=CT, sop_instance_uid="1.2.3", has_data_set=True
    )


def test_echo_request_is_what_pynetdicom_writes() -> None:
    primitive = C_ECHO()
    primitive.MessageID = 7
    primitive.AffectedSOPClassUID = command_set.VERIFICATION

    assert command_set.echo_request(7) == encoded_by_pynetdicom(C_ECHO_RQ(), primitive)


def test_store_response_is_what_pynetdicom_writes() -> None:
    primitive = store_primitive()
    primitive.DataSet = None
    primitive.MessageIDBeingRespondedTo = 9
    primitive.Status = 0xA700
    primitive.ErrorComment = "storage area is full"
    expected = encoded_by_pynetdicom(C_STORE_RSP(), primitive)
    request = CommandSet(command_set.C_STORE_RQ, message_id=9, sop_class_uid=CT, sop_instance_uid="1.2.3")

    assert command_set.response(request, 0xA700, "storage area is full") == expected
    assert command_set.decode(expected) == CommandSet(
        command_set.C_STORE_RQ | command_set.RESPONSE,
        message_id_being_responded_to=9,
        sop_class_uid=CT,
        sop_instance_uid="1.2.3",
        status=0xA700,
        error_comment="storage area is full",
    )


def test_echo_response_is_what_pynetdicom_writes() -> None:
    primitive = C_ECHO()
    primitive.AffectedSOPClassUID = command_set.VERIFICATION
    primitive.MessageIDBeingRespondedTo = 3
    primitive.Status = 0x0000
    request = CommandSet(command_set.C_ECHO_RQ, message_id=3, sop_class_uid=command_set.VERIFICATION)

    assert command_set.response(request, 0) == encoded_by_pynetdicom(C_ECHO_RSP(), primitive)


@pytest.mark.parametrize(
    ("comment", "expected"),
    [("x" * 100, "x" * 64), ("back\\slash", "back?slash"), ("Müller\n\x00", "M?ller??"), ("odd", "odd")],
)
def test_error_comment_fits_its_value_representation(comment: str, expected: str) -> None:
    request = CommandSet(command_set.C_STORE_RQ, message_id=1, sop_class_uid=CT, sop_instance_uid="1.2.3")

    encoded = command_set.response(request, 0xC000, comment)

    assert decode_dataset(BytesIO(encoded), True, True).ErrorComment == expected
    assert len(encoded) % 2 == 0
    assert struct.unpack_from("<I", encoded, 8)[0] == len(encoded) - 12


def test_unknown_elements_are_skipped_and_spaces_do_not_count() -> None:
    move_originator = struct.pack("<HHI", 0, 0x1030, 4) + b"PACS"
    odd_instance = struct.pack("<HHI", 0, 0x1000, 8) + b" 1.2.3\0 "

    decoded = command_set.decode(command_set.echo_request(1) + move_originator + odd_instance)

    assert decoded.sop_instance_uid == "1.2.3"


@pytest.mark.parametrize(
    "encoded",
    [
        b"",
        b"\0\0\0",
        struct.pack("<HHIH", 0, 0x0110, 2, 1),
        struct.pack("<HHI", 0, 0x0100, 2),
        struct.pack("<HHI", 0, 0x0100, 0xFFFFFFFF) + b"\0\0",
        struct.pack("<HHII", 0, 0x0100, 4, 1),
        struct.pack("<HHIH", 8, 0x0100, 2, 1),
    ],
    ids=["empty", "cut header", "no command field", "cut value", "length", "value size", "group"],
)
def test_malformed_command_set_is_a_violation(encoded: bytes) -> None:
    with pytest.raises(ProtocolViolation):
        command_set.decode(encoded)


def test_request_without_message_id_cannot_be_answered() -> None:
    with pytest.raises(ProtocolViolation, match="Message ID"):
        command_set.response(CommandSet(command_set.C_ECHO_RQ), 0)
