"""Our PDUs against pynetdicom's."""

import pytest
from pynetdicom.pdu import A_ABORT_RQ, A_ASSOCIATE_RJ, A_RELEASE_RP, A_RELEASE_RQ, P_DATA_TF

from workers.upper_layer import pdu


def test_release_is_what_pynetdicom_writes() -> None:
    assert A_RELEASE_RQ().encode() == pdu.RELEASE_RQ
    assert A_RELEASE_RP().encode() == pdu.RELEASE_RP


def test_rejection_reads_as_meant() -> None:
    decoded = A_ASSOCIATE_RJ()
    decoded.decode(pdu.reject(pdu.LOCAL_LIMIT_EXCEEDED))

    assert (decoded.result_str, decoded.source_str, decoded.reason_str) == (
        "Rejected (Transient)",
        "DUL service-provider (presentation related)",
        "Local limit exceeded",
    )


@pytest.mark.parametrize(
    ("encoded", "source", "reason"), [(pdu.abort_by_user(), 0, 0), (pdu.abort_by_provider(6), 2, 6)]
)
def test_abort_reads_as_meant(encoded: bytes, source: int, reason: int) -> None:
    decoded = A_ABORT_RQ()
    decoded.decode(encoded)

    assert (decoded.source, decoded.reason_diagnostic) == (source, reason)


@pytest.mark.parametrize("size", [0, 1, 93, 94, 95, 188, 189, 1000])
@pytest.mark.parametrize("maximum_length", [100, 101])
def test_message_is_cut_to_what_the_peer_takes(size: int, maximum_length: int) -> None:
    command, data_set = b"c" * 120, bytes(range(256)) * 4

    pieces = b"".join(pdu.message(3, command, data_set[:size], maximum_length))

    received = {1: b"", 0: b""}
    controls = []
    while pieces:
        length = 6 + int.from_bytes(pieces[2:6], "big")
        assert length - 6 <= maximum_length
        decoded = P_DATA_TF()
        decoded.decode(pieces[:length])
        pieces = pieces[length:]
        (value,) = decoded.presentation_data_value_items
        assert value.presentation_context_id == 3
        control, fragment = value.presentation_data_value[0], value.presentation_data_value[1:]
        received[control & 1] += fragment
        controls.append(control)
    assert received == {1: command, 0: data_set[:size]}
    assert [control for control in controls if control & 2] == [3, 2]
    assert controls == sorted(controls, key=lambda control: -(control & 1))


@pytest.mark.parametrize("cuts", [(), (0,), (10,), (93, 94, 95), (94, 188), (1, 2, 500, 500, 1000)])
def test_a_data_set_need_not_lie_in_one_place(cuts: tuple[int, ...]) -> None:
    data_set = bytes(range(250)) * 4
    pieces = tuple(data_set[begin:end] for begin, end in zip((0, *cuts), (*cuts, len(data_set)), strict=True))

    assert b"".join(pdu.message(3, b"c", pieces, 100)) == b"".join(pdu.message(3, b"c", data_set, 100))
    assert b"".join(pdu.message(3, b"c", (), 100)) == b"".join(pdu.message(3, b"c", b"", 100))


def test_peer_without_a_limit_gets_our_own() -> None:
    assert pdu.fragment_bytes(0) == pdu.DEFAULT_MAXIMUM_LENGTH - 6
