"""Peers that break the protocol, vanish or fall silent: the right A-ABORT, one log line, and nothing is left."""

import logging
import os
import socket
import struct
import threading
from pathlib import Path

import pytest

from tests.integration.storescp.conftest import Collector, StartScp
from tests.integration.storescp.peer import Peer, as_command, association_request, data, store_command, value
from tests.integration.storescp.test_clients import associate
from workers.storescp import StoreScp
from workers.upper_layer import command_set, pdu

USER = pdu.abort_by_user()
STORE = data(value(store_command(), 3))


def still_serves(scp: StoreScp, collector: Collector) -> None:
    assert collector.nothing_under_way()
    assert collector.instances == []
    with associate(scp) as association:
        assert association.echo() == 0


BEFORE_ASSOCIATION = {
    "web browser": (b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", USER),
    "unknown type": (b"\x99\0\0\0\0\0", USER),
    "data": (STORE, USER),
    "release": (pdu.RELEASE_RQ, USER),
    "abort": (USER, b""),
    "request of 2 MB": (struct.pack(">BxI", 1, 2 << 20), USER),
    "request of 10 bytes": (struct.pack(">BxI", 1, 10) + bytes(10), USER),
    "request without contexts": (struct.pack(">BxI", 1, 68) + association_request()[6:74], USER),
    "item longer than the PDU": (association_request()[:75] + b"\0\xff\xff" + association_request()[78:], USER),
    "random bytes in a request": (struct.pack(">BxI", 1, 500) + os.urandom(500), None),
    "cut request": (association_request()[:-1], None),
    "nothing": (b"", None),
}


@pytest.mark.parametrize(("sent", "answer"), BEFORE_ASSOCIATION.values(), ids=BEFORE_ASSOCIATION.keys())
def test_before_an_association(scp: StoreScp, collector: Collector, sent: bytes, answer: bytes | None) -> None:
    with Peer(scp.port) as peer:
        peer.send(sent)
        if answer is not None:
            assert peer.reply() == answer
            assert peer.reply() == b""

    still_serves(scp, collector)


ESTABLISHED = {
    "unknown type": (b"\x08\0\0\0\0\x04\0\0\0\0", pdu.abort_by_provider(1)),
    "second request": (association_request(), pdu.abort_by_provider(2)),
    "release response": (pdu.RELEASE_RP, pdu.abort_by_provider(2)),
    "abort of ten bytes": (b"\x07\0\0\0\0\x0a" + bytes(10), pdu.abort_by_provider(6)),
    "PDU longer than announced": (struct.pack(">BxI", 4, 131073), pdu.abort_by_provider(6)),
    "PDU of 4 GB": (struct.pack(">BxI", 4, 0xFFFFFFFF), pdu.abort_by_provider(6)),
    "value longer than its PDU": (data(struct.pack(">IBB", 9999, 1, 3)), pdu.abort_by_provider(6)),
    "unknown context": (data(value(store_command(), 3, context_id=9)), pdu.abort_by_provider(6)),
    "refused context": (data(value(store_command(), 3, context_id=2)), pdu.abort_by_provider(6)),
    "data before command": (data(value(b"ab", 2)), pdu.abort_by_provider(5)),
    "command of nothing": (data(value(b"", 3)), pdu.abort_by_provider(6)),
    "command of garbage": (data(value(b"garbage" * 9, 3)), pdu.abort_by_provider(6)),
    "endless command": (data(value(bytes(60_000), 1)) * 2, pdu.abort_by_provider(6)),
    "response": (data(value(as_command(command_set.echo_request(1), 0x8030), 3)), pdu.abort_by_provider(5)),
    "command in a data set": (STORE + data(value(b"ab", 0)) + STORE, pdu.abort_by_provider(5)),
    "data set on another context": (STORE + data(value(b"ab", 2, context_id=3)), pdu.abort_by_provider(5)),
    "release in a data set": (STORE + data(value(b"ab", 0)) + pdu.RELEASE_RQ, pdu.RELEASE_RP),
    "abort in a data set": (STORE + data(value(b"ab", 0)) + USER, b""),
}


@pytest.mark.parametrize(("sent", "answer"), ESTABLISHED.values(), ids=ESTABLISHED.keys())
def test_on_an_association(
    scp: StoreScp, collector: Collector, sent: bytes, answer: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "workers.storescp")
    with Peer(scp.port) as peer:
        peer.associate().send(sent)

        assert peer.reply() == answer
        assert peer.reply() == b""

    assert collector.nothing_under_way()
    ended = [record.getMessage() for record in caplog.records if "association of" in record.getMessage()]
    assert len(ended) == 1
    assert "SCRIPTED (127.0.0.1)" in ended[0]
    still_serves(scp, collector)


@pytest.mark.parametrize("sent", [b"", STORE[:30], STORE, STORE + data(value(bytes(50_000), 0))[:-10]])
@pytest.mark.parametrize("reset", [False, True])
def test_vanished_peer(scp: StoreScp, collector: Collector, sent: bytes, reset: bool) -> None:
    with Peer(scp.port) as peer:
        peer.associate().send(sent)
        if reset:
            peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    still_serves(scp, collector)


def test_peer_that_never_asks(start_scp: StartScp, collector: Collector) -> None:
    scp = start_scp(DicomScpTimeout=1)
    with Peer(scp.port) as silent, Peer(scp.port) as slow:
        slow.send(association_request()[:50])

        assert silent.reply() == b""
        assert slow.reply() == b""
    still_serves(scp, collector)


@pytest.mark.parametrize("sent", [b"", STORE + data(value(b"ab", 0)), STORE[:40]], ids=["idle", "data set", "PDU"])
def test_peer_that_falls_silent(start_scp: StartScp, collector: Collector, sent: bytes) -> None:
    scp = start_scp(DicomScpTimeout=1)
    with Peer(scp.port) as peer:
        peer.associate().send(sent)

        assert peer.reply() == USER
        assert peer.reply() == b""
    still_serves(scp, collector)


def test_peer_that_never_asks_where_there_is_no_timeout(
    start_scp: StartScp, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.storescp.association.ARTIM_SECONDS", 0.5)
    scp = start_scp(DicomScpTimeout=0)
    with Peer(scp.port) as silent:
        assert silent.reply() == b""
    still_serves(scp, collector)


def test_idle_association_lives_where_there_is_no_timeout(start_scp: StartScp) -> None:
    scp = start_scp(DicomScpTimeout=0)
    with Peer(scp.port) as peer:
        peer.associate()
        peer.socket.settimeout(1.2)
        with pytest.raises(TimeoutError):
            peer.socket.recv(1)
        peer.send(data(value(command_set.echo_request(1), 3)))
        assert peer.socket.recv(1) == bytes((pdu.P_DATA_TF,))


def test_connections_beyond_all_limits_are_closed(start_scp: StartScp, collector: Collector) -> None:
    scp = start_scp(cluster={"MaximumAssociations": 1})
    strangers = [Peer(scp.port) for _ in range(1 + 32 + 5)]

    assert [peer.reply() for peer in strangers[-5:]] == [b""] * 5

    for peer in strangers:
        peer.close()
    still_serves(scp, collector)


def association_threads_after_their_end() -> list[threading.Thread]:
    """Wait for the threads of all associations and return those that do not end."""
    threads = [thread for thread in threading.enumerate() if thread.name == "dicom-127.0.0.1"]
    for thread in threads:
        thread.join(10)
    return [thread for thread in threads if thread.is_alive()]


def test_200_bad_peers_leave_nothing(scp: StoreScp, collector: Collector) -> None:
    """Threads, sockets and receptions are counted before and after."""
    still_serves(scp, collector)
    assert association_threads_after_their_end() == []
    before = len(list(Path("/proc/self/fd").iterdir()))
    cases = [(sent, False) for sent, _ in BEFORE_ASSOCIATION.values()]
    cases += [(sent, True) for sent, _ in ESTABLISHED.values()]
    for number in range(200):
        sent, established = cases[number % len(cases)]
        with Peer(scp.port) as peer:
            if established:
                peer.associate()
            peer.send(sent)

    assert association_threads_after_their_end() == []
    assert scp.associations == 0
    assert len(list(Path("/proc/self/fd").iterdir())) == before
    still_serves(scp, collector)
