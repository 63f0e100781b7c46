"""Association negotiation: our acceptor against pynetdicom's encoders, our requestor against our acceptor."""

import contextlib
import struct

import pytest
from pynetdicom import build_context
from pynetdicom.pdu import A_ASSOCIATE_AC, A_ASSOCIATE_RQ
from pynetdicom.pdu_primitives import (
    A_ASSOCIATE,
    AsynchronousOperationsWindowNegotiation,
    ImplementationVersionNameNotification,
    SCP_SCU_RoleSelectionNegotiation,
    SOPClassCommonExtendedNegotiation,
    SOPClassExtendedNegotiation,
    UserIdentityNegotiation,
)

from tests.support.settings import settings_for
from workers.storescp.policy import Policy
from workers.upper_layer import pdu
from workers.upper_layer.acceptance import AcceptedContext, accept, decode_request
from workers.upper_layer.failures import AssociationRejected, PeerAborted, ProtocolViolation
from workers.upper_layer.proposal import decode_answer, encode_request, propose

CT = "1.2.840.10008.5.1.4.1.1.2"
VERIFICATION = "1.2.840.10008.1.1"
PRIVATE = "1.2.3.4.5"
FIND = "1.2.840.10008.5.1.4.1.2.2.1"
IMPLICIT, EXPLICIT, JPEG = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.4.50"


def policy(**changes: object) -> Policy:
    """Of a node with `DicomCheckCalledAet`; `changes` are options by their names."""
    settings = settings_for(**({"DicomCheckCalledAet": True} | changes))
    return Policy.from_settings(settings, maximum_pdu_length=131072)


def request_body(contexts: list[tuple[str, list[str]]], items: tuple[object, ...] = (), maximum: int = 16384) -> bytes:
    primitive = A_ASSOCIATE()
    primitive.application_context_name = "1.2.840.10008.3.1.1.1"
    primitive.called_ae_title = "orthanc"
    primitive.calling_ae_title = " MODALITY"
    primitive.maximum_length_received = maximum
    primitive.implementation_class_uid = "1.2.3"
    primitive.user_information += list(items)
    proposed = [build_context(abstract, transfer) for abstract, transfer in contexts]
    for index, context in enumerate(proposed):
        context.context_id = 2 * index + 1
    primitive.presentation_context_definition_list = proposed
    encoded: bytes = A_ASSOCIATE_RQ(primitive).encode()
    return encoded[6:]


def answered(body: bytes, by: Policy) -> tuple[A_ASSOCIATE_AC, dict[int, AcceptedContext]]:
    encoded, contexts = accept(decode_request(memoryview(body)), by.choose, by.maximum_pdu_length)
    answer = A_ASSOCIATE_AC()
    answer.decode(encoded)
    assert encoded[10:42] == body[4:36]
    return answer, contexts


def results(answer: A_ASSOCIATE_AC) -> list[int]:
    return [context.result for context in answer.presentation_context]


def test_request_is_read_as_pynetdicom_wrote_it() -> None:
    request = decode_request(memoryview(request_body([(CT, [IMPLICIT, JPEG]), (VERIFICATION, [IMPLICIT])])))

    assert (request.protocol_version, request.called_aet, request.calling_aet) == (1, "orthanc", "MODALITY")
    assert request.application_context == "1.2.840.10008.3.1.1.1"
    assert request.maximum_length == 16384
    assert [(c.context_id, str(c.abstract_syntax), list(map(str, c.transfer_syntax))) for c in request.contexts] == [
        (1, CT, [IMPLICIT, JPEG]),
        (3, VERIFICATION, [IMPLICIT]),
    ]


def test_contexts_are_accepted_and_refused_with_the_right_result() -> None:
    contexts = [
        (CT, [JPEG]),
        (FIND, [IMPLICIT]),
        (CT, [PRIVATE]),
        (VERIFICATION, [IMPLICIT, EXPLICIT]),
        (PRIVATE, [JPEG]),
    ]

    answer, accepted = answered(request_body(contexts), policy())

    assert results(answer) == [0, 3, 4, 0, 3]
    assert accepted == {1: AcceptedContext(CT, JPEG), 7: AcceptedContext(VERIFICATION, EXPLICIT)}
    assert answer.user_information.maximum_length == 131072


def test_same_class_in_several_contexts_gets_what_each_asks_for() -> None:
    _, accepted = answered(request_body([(CT, [JPEG]), (CT, [IMPLICIT]), (CT, [IMPLICIT, EXPLICIT])]), policy())

    assert [context.transfer_syntax for context in accepted.values()] == [JPEG, IMPLICIT, EXPLICIT]


def test_unknown_sop_class_is_taken_if_so_configured() -> None:
    answer, _ = answered(request_body([(PRIVATE, [JPEG]), (CT, [JPEG])]), policy(UnknownSopClassAccepted=True))

    assert results(answer) == [0, 0]


def test_items_we_make_no_use_of_do_no_harm() -> None:
    window = AsynchronousOperationsWindowNegotiation()
    window.maximum_number_operations_invoked = 5
    window.maximum_number_operations_performed = 5
    extended = SOPClassExtendedNegotiation()
    extended.sop_class_uid = CT
    extended.service_class_application_information = b"\x02\x00\x03\x00\x01\x00"
    common = SOPClassCommonExtendedNegotiation()
    common.sop_class_uid = CT
    common.service_class_uid = "1.2.840.10008.4.2"
    identity = UserIdentityNegotiation()
    identity.user_identity_type = 2
    identity.primary_field = b"user"
    identity.secondary_field = b"password"
    version = ImplementationVersionNameNotification()
    version.implementation_version_name = "PEER_1"
    body = request_body([(CT, [JPEG])], (window, extended, common, identity, version))
    unknown = struct.pack(">BxH", 0x77, 3) + b"abc"

    answer, _ = answered(body + unknown, policy())

    assert results(answer) == [0]
    assert answer.user_information.async_ops_window is None


@pytest.mark.parametrize(
    ("asked", "result", "granted"), [((True, False), 0, (1, 0)), ((True, True), 0, (1, 0)), ((False, True), 1, None)]
)
def test_we_are_an_scp_only(asked: tuple[bool, bool], result: int, granted: tuple[int, int] | None) -> None:
    role = SCP_SCU_RoleSelectionNegotiation()
    role.sop_class_uid = CT
    role.scu_role, role.scp_role = asked

    answer, _ = answered(request_body([(CT, [JPEG])], (role,)), policy())

    assert results(answer) == [result]
    if granted:
        assert [(item.scu_role, item.scp_role) for item in answer.user_information.role_selection.values()] == [granted]


def test_strange_ae_titles_are_read_and_sent_back() -> None:
    body = bytearray(request_body([(CT, [JPEG])]))
    body[20:36] = b"M\xc3\x9c\\LLER\n".ljust(16, b"\0")

    request = decode_request(memoryview(bytes(body)))

    assert request.calling_aet.isprintable()
    answered(bytes(body), policy(DicomCheckCalledAet=False))


@pytest.mark.parametrize(
    ("changes", "called", "refused"),
    [
        ({}, b"orthanc         ", False),
        ({}, b"   ORTHANC      ", False),
        ({}, b"OTHER           ", True),
        ({}, b"                ", True),
        ({"StrictAetComparison": True}, b"ORTHANC         ", False),
        ({"StrictAetComparison": True}, b"orthanc         ", True),
        ({"DicomCheckCalledAet": False}, b"OTHER           ", False),
    ],
)
def test_called_ae_title(changes: dict[str, object], called: bytes, refused: bool) -> None:
    body = bytearray(request_body([(CT, [JPEG])]))
    body[4:20] = called

    refusal = policy(**changes).refusal(decode_request(memoryview(bytes(body))), "192.0.2.1")

    assert (refusal is not None) == refused
    assert refusal is None or refusal.rejection == (1, 1, 7)


@pytest.mark.parametrize(
    ("start", "replacement", "rejection"),
    [(0, b"\0\2", (1, 2, 2)), (72, b"9", (1, 1, 2)), (20, b" " * 16, (1, 1, 3))],
    ids=["protocol version", "application context", "calling AE title"],
)
def test_other_refusals(start: int, replacement: bytes, rejection: tuple[int, int, int]) -> None:
    body = bytearray(request_body([(CT, [JPEG])]))
    body[start : start + len(replacement)] = replacement

    refusal = policy().refusal(decode_request(memoryview(bytes(body))), "192.0.2.1")

    assert refusal is not None
    assert refusal.rejection == rejection


def test_every_cut_of_a_request_is_a_violation_or_a_request() -> None:
    body = request_body([(CT, [IMPLICIT, JPEG]), (VERIFICATION, [IMPLICIT])])
    complete = []
    for end in range(len(body)):
        with contextlib.suppress(ProtocolViolation):
            decode_request(memoryview(body[:end]))
            complete.append(end)
    # Only where an item ends: after each context, when the user information is missing.
    assert len(complete) == 2


def test_every_damaged_byte_of_a_request_is_a_violation_or_a_request() -> None:
    body = request_body([(CT, [IMPLICIT, JPEG]), (VERIFICATION, [IMPLICIT])])
    by, violations = policy(), 0
    for position in range(len(body)):
        for damage in (0x00, 0xFF, 0x01):
            damaged = body[:position] + bytes((damage,)) + body[position + 1 :]
            try:
                accept(decode_request(memoryview(damaged)), by.choose, 16384)
            except ProtocolViolation:
                violations += 1
    assert violations > 50


@pytest.mark.parametrize("maximum", [1, 7])
def test_peer_that_takes_no_byte_is_a_violation(maximum: int) -> None:
    with pytest.raises(ProtocolViolation, match="maximum length"):
        decode_request(memoryview(request_body([(CT, [JPEG])], maximum=maximum)))


def test_requestor_and_acceptor_agree() -> None:
    proposed = propose([(CT, [JPEG, IMPLICIT]), (FIND, [IMPLICIT]), (VERIFICATION, [IMPLICIT])])
    encoded = encode_request(proposed, called_aet="ORTHANC", calling_aet="LOAD", maximum_length=65536)
    request = decode_request(memoryview(encoded)[6:])
    answer, accepted = accept(request, policy().choose, 131072)

    agreement = decode_answer(proposed, answer[0], memoryview(answer)[6:])

    assert request.maximum_length == 65536
    assert agreement.contexts == accepted == {1: AcceptedContext(CT, JPEG), 5: AcceptedContext(VERIFICATION, IMPLICIT)}
    assert agreement.maximum_length == 131072


def test_other_answers_to_the_requestor() -> None:
    proposed = propose([(CT, [JPEG])])
    answer, _ = accept(decode_request(memoryview(request_body([(CT, [JPEG])]))), policy().choose, 16384)

    with pytest.raises(AssociationRejected) as rejected:
        decode_answer(proposed, pdu.A_ASSOCIATE_RJ, memoryview(pdu.reject(pdu.LOCAL_LIMIT_EXCEEDED))[6:])
    assert rejected.value.transient
    with pytest.raises(PeerAborted):
        decode_answer(proposed, pdu.A_ABORT, memoryview(pdu.abort_by_user())[6:])
    with pytest.raises(ProtocolViolation):
        decode_answer(proposed, pdu.A_ASSOCIATE_AC, memoryview(answer)[6:-3])
    with pytest.raises(ProtocolViolation):
        decode_answer(proposed, pdu.P_DATA_TF, memoryview(b""))
    with pytest.raises(ValueError, match="presentation contexts"):
        propose([])
