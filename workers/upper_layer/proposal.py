"""Association negotiation as requestor: A-ASSOCIATE-RQ out, the answer in (PS3.8 sections 7.1 and 9.3.2 to 9.3.4)."""

from collections.abc import Sequence
from dataclasses import dataclass

from pynetdicom.pdu import A_ASSOCIATE_AC, A_ASSOCIATE_RQ
from pynetdicom.pdu_primitives import A_ASSOCIATE
from pynetdicom.presentation import PresentationContext, build_context, negotiate_as_requestor

from workers.upper_layer import pdu
from workers.upper_layer.acceptance import AcceptedContext
from workers.upper_layer.failures import (
    INVALID_PDU_PARAMETER,
    UNEXPECTED_PDU,
    AssociationRejected,
    PeerAborted,
    ProtocolViolation,
)
from workers.upper_layer.implementation import APPLICATION_CONTEXT, CLASS_UID, version_name

MAXIMUM_CONTEXTS = 128
"""Context ids are the odd numbers of one byte (PS3.8 table 9-13)."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """What the acceptor agreed to: presentation contexts by id, and the P-DATA-TF length that it takes (0 = any)."""

    contexts: dict[int, AcceptedContext]
    maximum_length: int


def propose(contexts: Sequence[tuple[str, Sequence[str]]]) -> list[PresentationContext]:
    """Return presentation contexts with ids for pairs of abstract syntax and transfer syntaxes.

    Raises ValueError if there are none or more than 128.
    """
    if not 1 <= len(contexts) <= MAXIMUM_CONTEXTS:
        raise ValueError(f"{len(contexts)} presentation contexts, where 1 to {MAXIMUM_CONTEXTS} are possible")
    proposed = []
    for index, (abstract_syntax, transfer_syntaxes) in enumerate(contexts):
        context = build_context(abstract_syntax, list(transfer_syntaxes))
        context.context_id = 2 * index + 1
        proposed.append(context)
    return proposed


def encode_request(
    proposed: list[PresentationContext], *, called_aet: str, calling_aet: str, maximum_length: int
) -> bytes:
    """Encode the A-ASSOCIATE-RQ; raises ValueError for an impossible AE title."""
    primitive = A_ASSOCIATE()
    primitive.application_context_name = APPLICATION_CONTEXT
    primitive.called_ae_title = called_aet
    primitive.calling_ae_title = calling_aet
    primitive.maximum_length_received = maximum_length
    primitive.implementation_class_uid = CLASS_UID
    primitive.user_information.append(version_name())
    primitive.presentation_context_definition_list = proposed
    encoded: bytes = A_ASSOCIATE_RQ(primitive).encode()
    return encoded


def decode_answer(proposed: list[PresentationContext], pdu_type: int, body: memoryview) -> Agreement:
    """Return what the acceptor agreed to.

    Raises AssociationRejected, PeerAborted, or ProtocolViolation for an answer that is none.
    """
    if pdu_type == pdu.A_ASSOCIATE_RJ:
        raise AssociationRejected(body[1], body[2], body[3])
    if pdu_type == pdu.A_ABORT:
        raise PeerAborted(body[2], body[3])
    if pdu_type != pdu.A_ASSOCIATE_AC:
        raise ProtocolViolation(UNEXPECTED_PDU, f"PDU of type {pdu_type} in answer to A-ASSOCIATE-RQ")
    try:
        answer = A_ASSOCIATE_AC()
        answer.decode(bytes((pdu_type, 0)) + len(body).to_bytes(4, "big") + bytes(body))
        primitive = answer.to_primitive()
        negotiated = negotiate_as_requestor(proposed, primitive.presentation_context_definition_results_list)
        maximum_length = primitive.maximum_length_received or 0
    except Exception as error:  # pynetdicom's codecs let any error of what they use escape
        raise ProtocolViolation(INVALID_PDU_PARAMETER, f"A-ASSOCIATE-AC cannot be decoded: {error!r}") from error
    contexts = {
        context.context_id: AcceptedContext(str(context.abstract_syntax), str(context.transfer_syntax[0]))
        for context in negotiated
        if context.result == 0 and context.context_id is not None
    }
    return Agreement(contexts, maximum_length)
