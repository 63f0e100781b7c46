"""Association negotiation as acceptor: A-ASSOCIATE-RQ in, A-ASSOCIATE-AC out (PS3.8 sections 7.1 and 9.3.2, 9.3.3).

What is agreed on is worked out and written by pynetdicom (`negotiate_as_acceptor`, A_ASSOCIATE_AC). What strangers send
is read here: pynetdicom's decoders give up on a request with one unknown item, where PS3.8 section 9.3.1 wants it to be
skipped. Of asynchronous operations, extended negotiation and user identity we make no use, and an acceptor that does
not answer them has declined them.
"""

import re
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from pynetdicom.pdu import A_ASSOCIATE_AC
from pynetdicom.pdu_primitives import A_ASSOCIATE
from pynetdicom.presentation import PresentationContext, build_context, negotiate_as_acceptor

from workers.upper_layer import pdu
from workers.upper_layer.failures import INVALID_PDU_PARAMETER, ProtocolViolation
from workers.upper_layer.implementation import APPLICATION_CONTEXT, CLASS_UID, version_name

_VARIABLE_ITEMS = 68
"""Bytes before them: version, reserved, AE titles, reserved (PS3.8 table 9-11)."""

_ACCEPTED = 0
_NO_UID = "0"
_MAXIMUM_UID_LENGTH = 64
_UID = re.compile(r"(0|[1-9][0-9]*)(\.(0|[1-9][0-9]*))*")
_ITEM = struct.Struct(">BxH")

# Item types (PS3.8 section 9.3.2, PS3.7 annex D.3.3.4)
_APPLICATION_CONTEXT = 0x10
_PRESENTATION_CONTEXT = 0x20
_ABSTRACT_SYNTAX = 0x30
_TRANSFER_SYNTAX = 0x40
_USER_INFORMATION = 0x50
_MAXIMUM_LENGTH = 0x51
_ROLE_SELECTION = 0x54
_ROLE_SELECTION_FRAME = 4

ChooseSyntax = Callable[[str, list[str]], str | None]
"""Abstract syntax and proposed transfer syntaxes to the one to take, None for none; raises KeyError for an abstract
syntax that is not supported."""


class AcceptedContext(NamedTuple):
    """A presentation context that both sides agreed on."""

    abstract_syntax: str
    transfer_syntax: str


@dataclass(slots=True)
class AssociationRequest:
    """What an A-ASSOCIATE-RQ asks for; AE titles without the insignificant spaces."""

    protocol_version: int
    called_aet: str
    calling_aet: str
    reserved: bytes
    application_context: str = ""
    contexts: list[PresentationContext] = field(default_factory=list)
    roles: dict[Any, tuple[bool | None, bool | None]] = field(default_factory=dict)
    maximum_length: int = 0


def decode_request(body: memoryview) -> AssociationRequest:
    """Decode the body of an A-ASSOCIATE-RQ.

    Raises ProtocolViolation if it is cut, has lengths that do not fit, or lacks presentation contexts.
    """
    if len(body) < _VARIABLE_ITEMS:
        raise ProtocolViolation(INVALID_PDU_PARAMETER, f"A-ASSOCIATE-RQ of {len(body)} bytes")
    request = AssociationRequest(
        protocol_version=int.from_bytes(body[0:2], "big"),
        called_aet=_ae_title(body[4:20]),
        calling_aet=_ae_title(body[20:36]),
        reserved=bytes(body[4:_VARIABLE_ITEMS]),
    )
    for item_type, item in _items(bytes(body[_VARIABLE_ITEMS:])):
        if item_type == _APPLICATION_CONTEXT:
            request.application_context = _uid(item) or ""
        elif item_type == _PRESENTATION_CONTEXT:
            request.contexts.append(_presentation_context(item))
        elif item_type == _USER_INFORMATION:
            _take_user_information(request, item)
    if not request.contexts:
        raise ProtocolViolation(INVALID_PDU_PARAMETER, "A-ASSOCIATE-RQ without presentation contexts")
    if 0 < request.maximum_length <= pdu.VALUE_HEADER_BYTES + 1:
        raise ProtocolViolation(INVALID_PDU_PARAMETER, f"maximum length of {request.maximum_length} bytes")
    return request


def _presentation_context(item: bytes) -> PresentationContext:
    """Return the proposed context (PS3.8 section 9.3.2.2); UIDs that are none are left out: nobody can mean them."""
    abstract_syntax, transfer_syntaxes = None, []
    if len(item) < 4 or not item[0] % 2:
        raise ProtocolViolation(INVALID_PDU_PARAMETER, "presentation context without an odd id")
    for item_type, sub_item in _items(item[4:]):
        uid = _uid(sub_item)
        if item_type == _ABSTRACT_SYNTAX:
            abstract_syntax = uid
        elif item_type == _TRANSFER_SYNTAX and uid is not None:
            transfer_syntaxes.append(uid)
    context = build_context(abstract_syntax or _NO_UID, transfer_syntaxes or [_NO_UID])
    context.context_id = item[0]
    return context


def _take_user_information(request: AssociationRequest, item: bytes) -> None:
    for item_type, sub_item in _items(item):
        if item_type == _MAXIMUM_LENGTH:
            request.maximum_length = int.from_bytes(sub_item[:4], "big")
        elif item_type == _ROLE_SELECTION and len(sub_item) > _ROLE_SELECTION_FRAME:
            # Length of the UID, UID, SCU role, SCP role: PS3.7 table D.3-9
            uid, scu_role, scp_role = _uid(sub_item[2:-2]), bool(sub_item[-2]), bool(sub_item[-1])
            if uid is not None and (scu_role or scp_role):
                request.roles[uid] = (scu_role, scp_role)


def _items(encoded: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield type and value of each item (PS3.8 section 9.3.1)."""
    offset = 0
    while offset < len(encoded):
        if len(encoded) - offset < _ITEM.size:
            raise ProtocolViolation(INVALID_PDU_PARAMETER, "item cut in its header")
        item_type, length = _ITEM.unpack_from(encoded, offset)
        offset += _ITEM.size
        if length > len(encoded) - offset:
            raise ProtocolViolation(INVALID_PDU_PARAMETER, f"item of type 0x{item_type:02X} is longer than its PDU")
        yield item_type, encoded[offset : offset + length]
        offset += length


def _uid(encoded: bytes) -> str | None:
    """Return a UID, or None for what is none: pydicom would warn about it, and Python keeps every warning it saw."""
    text = encoded.strip(b"\0 ").decode("ascii", "replace")
    return text if len(text) <= _MAXIMUM_UID_LENGTH and _UID.fullmatch(text) else None


def _ae_title(encoded: memoryview) -> str:
    text = bytes(encoded).strip(b" \0").decode("ascii", "replace")
    return "".join(character if character.isprintable() else "?" for character in text)


def accept(
    request: AssociationRequest, choose: ChooseSyntax, maximum_length: int
) -> tuple[bytes, dict[int, AcceptedContext]]:
    """Return the A-ASSOCIATE-AC for `request` and the presentation contexts that it accepts, by id.

    `maximum_length` is the P-DATA-TF length that we announce. As far as roles go we are an SCP and nothing else.
    """
    results: list[PresentationContext] = []
    user_information = {}
    for proposed in request.contexts:
        result, roles = negotiate_as_acceptor([proposed], _supported(proposed, choose), request.roles)
        results += result
        user_information.update({str(role.sop_class_uid): role for role in roles})
    primitive = A_ASSOCIATE()
    primitive.application_context_name = APPLICATION_CONTEXT
    primitive.result = _ACCEPTED
    primitive.maximum_length_received = maximum_length
    primitive.implementation_class_uid = CLASS_UID
    primitive.user_information += [version_name(), *user_information.values()]
    primitive.presentation_context_definition_results_list = results
    encoded = bytearray(A_ASSOCIATE_AC(primitive).encode())
    # The AE titles and the reserved field go back as they came (PS3.8 table 9-17).
    encoded[10:74] = request.reserved
    accepted = {
        context.context_id: AcceptedContext(str(context.abstract_syntax), str(context.transfer_syntax[0]))
        for context in results
        if context.result == _ACCEPTED and context.context_id is not None
    }
    return bytes(encoded), accepted


def _supported(proposed: PresentationContext, choose: ChooseSyntax) -> list[PresentationContext]:
    """Return what we support of `proposed`, in the form that `negotiate_as_acceptor` takes."""
    transfer_syntaxes = [str(uid) for uid in proposed.transfer_syntax]
    try:
        chosen = choose(str(proposed.abstract_syntax), transfer_syntaxes)
    except KeyError:
        return []
    supported = build_context(str(proposed.abstract_syntax), [chosen] if chosen else [])
    supported.scu_role, supported.scp_role = True, False
    return [supported]
