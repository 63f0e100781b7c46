"""Requests that are refused, and what they leave usable."""

import logging
import struct
import threading

import pytest

from cluster import errors
from tests.integration.storescp.conftest import Collector, StartScp
from tests.integration.storescp.peer import (
    CT,
    EXPLICIT,
    Peer,
    as_command,
    association_request,
    data,
    store_command,
    value,
)
from tests.integration.storescp.test_clients import associate
from workers.storescp import StoreScp
from workers.storescu import AssociationRejected
from workers.upper_layer import command_set, pdu
from workers.upper_layer.command_set import CommandSet

DATA_SET = bytes(300_000)


def store_and_look(scp: StoreScp, collector: Collector) -> CommandSet:
    """Send an instance that is refused, and then another, on one association; return the first response."""
    with Peer(scp.port) as peer:
        peer.associate()
        halves = data(value(DATA_SET[:100_000], 0)) + data(value(DATA_SET[:100_000], 2))
        peer.send(data(value(store_command(), 3)), halves)
        refused = peer.response()
        collector.fail_receiving = collector.fail_committing = False
        collector.fail_writing_after = None
        peer.send(data(value(store_command("1.2.4"), 3)), halves)
        assert peer.response().status == 0
        peer.send(pdu.RELEASE_RQ)
        assert peer.reply() == pdu.RELEASE_RP
    assert [instance.sop_instance_uid for instance in collector.instances] == ["1.2.4"]
    assert collector.nothing_under_way()
    return refused


@pytest.mark.parametrize("where", ["receive", "first write", "later write", "commit"])
@pytest.mark.parametrize(
    ("error", "status", "comment"),
    [
        (errors.StorageFull("/srv/secret: no space left"), 0xA700, "storage area is full"),
        (errors.NodeBusy("draining"), 0xA700, "node is busy, try again"),
        (errors.DatabaseUnavailable("password=secret"), 0xA700, "not stored, see the log of the node"),
        (errors.NotDicom("no DICOM, but a long story" * 10), 0xC000, ("no DICOM, but a long story" * 10)[:64]),
        (errors.ReferenceMismatch("other instance"), 0xA900, "other instance"),
        (ZeroDivisionError("secret"), 0xA700, "not stored, see the log of the node"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_refused_instance_leaves_the_association_usable(
    scp: StoreScp, collector: Collector, where: str, error: Exception, status: int, comment: str
) -> None:
    collector.error = error
    collector.fail_receiving = where == "receive"
    collector.fail_writing_after = {"first write": 0, "later write": 100_000}.get(where)
    collector.fail_committing = where == "commit"

    response = store_and_look(scp, collector)

    assert (response.status, response.error_comment) == (status, comment)
    assert (response.sop_class_uid, response.sop_instance_uid) == (CT, "1.2.3")


def test_refused_instance_is_one_line_in_the_log(
    scp: StoreScp, collector: Collector, caplog: pytest.LogCaptureFixture
) -> None:
    collector.error, collector.fail_committing = errors.MissingIdentifier("no StudyInstanceUID"), True

    store_and_look(scp, collector)

    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == [
        "instance 1.2.3 from SCRIPTED (127.0.0.1) refused: no StudyInstanceUID"
    ]


DATA_SET_TYPE = struct.Struct("<HHIH")
WITHOUT_DATA_SET = store_command().replace(
    DATA_SET_TYPE.pack(0, 0x0800, 2, 0x0001), DATA_SET_TYPE.pack(0, 0x0800, 2, 0x0101)
)


@pytest.mark.parametrize(
    ("command", "status"),
    [
        (command_set.store_request(1, CT, ""), 0xC000),
        (command_set.store_request(1, "", "1.2.3"), 0xC000),
        (store_command().replace(b"1.2.3\0", b"1.2.\xff\n"), 0xA700),
        (WITHOUT_DATA_SET, 0xC000),
        (as_command(command_set.echo_request(1), 0x0020), 0x0211),
        (as_command(store_command(), 0x0140), 0x0211),
    ],
    ids=["no instance UID", "no class UID", "UID of other characters", "no data set", "C-FIND", "N-CREATE with data"],
)
def test_requests_that_cannot_be_served(scp: StoreScp, collector: Collector, command: bytes, status: int) -> None:
    decoded = command_set.decode(command)
    with Peer(scp.port) as peer:
        peer.associate().send(data(value(command, 3)))
        if decoded.has_data_set:
            peer.send(data(value(b"ab", 2)))

        response = peer.response()

        assert response.status == status
        assert response.command_field == decoded.command_field | 0x8000
        assert response.message_id_being_responded_to == 1
        peer.send(data(value(command_set.echo_request(2), 3, context_id=3)))
        assert peer.response().status == 0
    assert collector.instances == []


def test_store_on_a_verification_context(scp: StoreScp, collector: Collector) -> None:
    with Peer(scp.port) as peer:
        peer.associate().send(data(value(store_command(), 3, context_id=3), value(b"ab", 2, context_id=3)))

        assert peer.response().status == 0x0122
    assert collector.instances == []


def test_cancel_is_ignored(scp: StoreScp) -> None:
    cancel = as_command(command_set.echo_request(1), command_set.C_CANCEL_RQ)

    with Peer(scp.port) as peer:
        peer.associate().send(data(value(cancel, 3)), data(value(command_set.echo_request(2), 3)))

        assert peer.response().message_id_being_responded_to == 2


def rejection(scp: StoreScp, request: bytes) -> tuple[int, int, int]:
    with Peer(scp.port) as peer:
        reply = peer.send(request).reply()
        assert reply[0] == pdu.A_ASSOCIATE_RJ
        assert peer.reply() == b""
        return reply[7], reply[8], reply[9]


@pytest.mark.parametrize(
    ("options", "request_bytes", "expected"),
    [
        ({"DicomCheckCalledAet": True}, association_request("OTHER"), (1, 1, 7)),
        ({"DicomCheckCalledAet": True, "StrictAetComparison": True}, association_request("orthanc"), (1, 1, 7)),
        ({}, association_request().replace(b"\0\1\0\0ORTHANC", b"\0\2\0\0ORTHANC"), (1, 2, 2)),
        ({}, association_request().replace(b"1.2.840.10008.3.1.1.1", b"1.2.840.10008.3.1.1.9"), (1, 1, 2)),
        ({}, association_request().replace(b"SCRIPTED", b"        "), (1, 1, 3)),
    ],
    ids=["called AE title", "strict AE title", "protocol version", "application context", "no calling AE title"],
)
def test_permanent_rejections(
    start_scp: StartScp, options: dict[str, bool], request_bytes: bytes, expected: tuple[int, int, int]
) -> None:
    assert rejection(start_scp(**options), request_bytes) == expected


def test_not_ready_is_for_the_moment(start_scp: StartScp) -> None:
    ready = threading.Event()
    scp = start_scp(ready=ready.is_set)

    assert rejection(scp, association_request()) == (2, 3, 2)
    ready.set()
    with associate(scp) as association:
        assert association.echo() == 0


def test_associations_above_the_maximum_are_refused_for_the_moment(start_scp: StartScp) -> None:
    scp = start_scp(cluster={"MaximumAssociations": 3})
    associations = [associate(scp) for _ in range(3)]

    with pytest.raises(AssociationRejected) as rejected:
        associate(scp)
    assert rejected.value.transient
    assert (rejected.value.source, rejected.value.reason) == (3, 2)
    assert scp.associations == 3

    associations.pop().release()
    associations.append(associate(scp))
    for association in associations:
        assert association.store(CT, "1.2.3", EXPLICIT, b"ab") == 0
        association.release()
