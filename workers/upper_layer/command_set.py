"""DIMSE command sets, encoded as Implicit VR Little Endian group 0000 (PS3.7 sections 6.3.1, 9.3 and annex E)."""

import struct
from dataclasses import dataclass

from workers.upper_layer.failures import INVALID_PDU_PARAMETER, ProtocolViolation

C_STORE_RQ = 0x0001
C_ECHO_RQ = 0x0030
C_CANCEL_RQ = 0x0FFF
RESPONSE = 0x8000
"""Bit that makes a request's command field that of its response (PS3.7 table E.1-1)."""

VERIFICATION = "1.2.840.10008.1.1"
MAXIMUM_COMMENT_LENGTH = 64
"""Characters of an Error Comment (VR LO, PS3.7 annex C)."""

# Elements of group 0000 (PS3.7 table E.1-1)
_GROUP_LENGTH = 0x0000
_AFFECTED_SOP_CLASS_UID = 0x0002
_REQUESTED_SOP_CLASS_UID = 0x0003
_COMMAND_FIELD = 0x0100
_MESSAGE_ID = 0x0110
_MESSAGE_ID_BEING_RESPONDED_TO = 0x0120
_PRIORITY = 0x0700
_COMMAND_DATA_SET_TYPE = 0x0800
_STATUS = 0x0900
_ERROR_COMMENT = 0x0902
_AFFECTED_SOP_INSTANCE_UID = 0x1000

_NO_DATA_SET = 0x0101
_DATA_SET = 0x0001
_MEDIUM_PRIORITY = 0x0000

_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
_ELEMENT = struct.Struct("<HHI")
_US = struct.Struct("<H")
_UL = struct.Struct("<I")


@dataclass(slots=True)
class CommandSet:
    """The elements of a command set that we use; None or empty where absent."""

    command_field: int
    message_id: int | None = None
    message_id_being_responded_to: int | None = None
    sop_class_uid: str = ""
    sop_instance_uid: str = ""
    has_data_set: bool = False
    status: int | None = None
    error_comment: str = ""


def decode(encoded: bytes | bytearray | memoryview) -> CommandSet:
    """Decode a whole command set; unknown elements are skipped.

    Raises ProtocolViolation if it is cut, has elements outside of group 0000, or lacks the command field.
    """
    elements = _elements(memoryview(encoded))
    command_field = _number(elements, _COMMAND_FIELD)
    if command_field is None:
        raise ProtocolViolation(INVALID_PDU_PARAMETER, "command set without Command Field")
    data_set_type = _number(elements, _COMMAND_DATA_SET_TYPE)
    return CommandSet(
        command_field=command_field,
        message_id=_number(elements, _MESSAGE_ID),
        message_id_being_responded_to=_number(elements, _MESSAGE_ID_BEING_RESPONDED_TO),
        sop_class_uid=_text(elements, _AFFECTED_SOP_CLASS_UID) or _text(elements, _REQUESTED_SOP_CLASS_UID),
        sop_instance_uid=_text(elements, _AFFECTED_SOP_INSTANCE_UID),
        has_data_set=data_set_type is not None and data_set_type != _NO_DATA_SET,
        status=_number(elements, _STATUS),
        error_comment=_text(elements, _ERROR_COMMENT),
    )


def _elements(encoded: memoryview) -> dict[int, bytes]:
    elements = {}
    offset, end = 0, len(encoded)
    while offset < end:
        if end - offset < _ELEMENT.size:
            raise ProtocolViolation(INVALID_PDU_PARAMETER, "command set cut in the middle of an element")
        group, element, length = _ELEMENT.unpack_from(encoded, offset)
        offset += _ELEMENT.size
        if group != 0x0000 or length > end - offset:
            raise ProtocolViolation(
                INVALID_PDU_PARAMETER, f"command set with element ({group:04X},{element:04X}) of {length} bytes"
            )
        elements[element] = bytes(encoded[offset : offset + length])
        offset += length
    return elements


def _number(elements: dict[int, bytes], element: int) -> int | None:
    value = elements.get(element)
    if value is None:
        return None
    if len(value) != _US.size:
        raise ProtocolViolation(INVALID_PDU_PARAMETER, f"command element (0000,{element:04X}) of {len(value)} bytes")
    number: int = _US.unpack(value)[0]
    return number


def _text(elements: dict[int, bytes], element: int) -> str:
    # What is not printable ASCII cannot be a UID: the replacement keeps it out of logs, and of the storage area.
    text = elements.get(element, b"").strip(b"\0 ").decode("ascii", "replace")
    return text if text.isprintable() else _REPLACEMENT


def store_request(message_id: int, sop_class_uid: str, sop_instance_uid: str) -> bytes:
    """Encode a C-STORE-RQ of medium priority (PS3.7 table 9.3-1)."""
    return _encode(
        _uid(_AFFECTED_SOP_CLASS_UID, sop_class_uid),
        _us(_COMMAND_FIELD, C_STORE_RQ),
        _us(_MESSAGE_ID, message_id),
        _us(_PRIORITY, _MEDIUM_PRIORITY),
        _us(_COMMAND_DATA_SET_TYPE, _DATA_SET),
        _uid(_AFFECTED_SOP_INSTANCE_UID, sop_instance_uid),
    )


def echo_request(message_id: int) -> bytes:
    """Encode a C-ECHO-RQ (PS3.7 table 9.3-12)."""
    return _encode(
        _uid(_AFFECTED_SOP_CLASS_UID, VERIFICATION),
        _us(_COMMAND_FIELD, C_ECHO_RQ),
        _us(_MESSAGE_ID, message_id),
        _us(_COMMAND_DATA_SET_TYPE, _NO_DATA_SET),
    )


def response(request: CommandSet, status: int, error_comment: str = "") -> bytes:
    """Encode the response to `request` without a data set (PS3.7 tables 9.3-2 and 9.3-13).

    `error_comment` is cut to 64 characters; what LO does not allow becomes a question mark.
    """
    if request.message_id is None:
        raise ProtocolViolation(INVALID_PDU_PARAMETER, "request without Message ID")
    return _encode(
        _uid(_AFFECTED_SOP_CLASS_UID, request.sop_class_uid),
        _us(_COMMAND_FIELD, request.command_field | RESPONSE),
        _us(_MESSAGE_ID_BEING_RESPONDED_TO, request.message_id),
        _us(_COMMAND_DATA_SET_TYPE, _NO_DATA_SET),
        _us(_STATUS, status),
        _comment(error_comment),
        _uid(_AFFECTED_SOP_INSTANCE_UID, request.sop_instance_uid),
    )


def _encode(*elements: bytes) -> bytes:
    body = b"".join(elements)
    return _ELEMENT.pack(0, _GROUP_LENGTH, _UL.size) + _UL.pack(len(body)) + body


def _us(element: int, value: int) -> bytes:
    return _ELEMENT.pack(0, element, _US.size) + _US.pack(value)


def _uid(element: int, value: str) -> bytes:
    if not value:
        return b""
    encoded = value.encode("ascii", "replace")
    encoded += b"\0" * (len(encoded) % 2)
    return _ELEMENT.pack(0, element, len(encoded)) + encoded


def _comment(text: str) -> bytes:
    if not text:
        return b""
    allowed = "".join(character if " " <= character <= "~" and character != "\\" else "?" for character in text)
    encoded = allowed[:MAXIMUM_COMMENT_LENGTH].encode("ascii")
    encoded += b" " * (len(encoded) % 2)
    return _ELEMENT.pack(0, _ERROR_COMMENT, len(encoded)) + encoded
