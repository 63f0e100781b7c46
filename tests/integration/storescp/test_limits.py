"""Peers that take more than their share; meanwhile another sender goes on undisturbed."""

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Iterator

from tests.integration.storescp.conftest import Collector, StartScp
from tests.integration.storescp.peer import CT, EXPLICIT, Peer, association_request, data, store_command, value
from tests.integration.storescp.test_clients import associate
from workers.storescp import StoreScp
from workers.upper_layer import pdu

REJECTED_FOR_THE_MOMENT = pdu.reject(pdu.LOCAL_LIMIT_EXCEEDED)
STORE = data(value(store_command(), 3))


@contextlib.contextmanager
def another_sender(scp: StoreScp, collector: Collector) -> Iterator[None]:
    """Stores on one association as long as the block lasts, and every time with success."""
    stop = threading.Event()
    statuses: list[int] = []

    def send() -> None:
        with associate(scp) as association:
            while not stop.is_set() or len(statuses) < 20:
                statuses.append(association.store(CT, "1.2.3", EXPLICIT, b"ab" * 500))

    sender = threading.Thread(target=send)
    sender.start()
    try:
        yield
    finally:
        stop.set()
        sender.join(20)
    assert not sender.is_alive()
    assert len(statuses) >= 20
    assert set(statuses) == {0}


def from_address(address: str, port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=10, source_address=(address, 0))


def test_one_peer_has_its_share_and_no_more(start_scp: StartScp, collector: Collector) -> None:
    scp = start_scp(cluster={"MaximumAssociationsPerPeer": 2})
    with contextlib.ExitStack() as stack:
        greedy = [from_address("127.0.0.2", scp.port) for _ in range(9)]
        for peer in greedy:
            stack.enter_context(peer)
        with another_sender(scp, collector):
            answers = []
            for peer in greedy[:3]:
                peer.sendall(association_request())
                answers.append(peer.recv(10))
            assert [answer[0] for answer in answers] == [2, 2, 3]
            assert answers[2] == REJECTED_FOR_THE_MOMENT
            assert greedy[-1].recv(1) == b""  # not even listened to
    with associate(scp) as association:
        assert association.echo() == 0


def test_bytes_that_trickle_are_given_up_whatever_is_under_way(start_scp: StartScp, collector: Collector) -> None:
    scp = start_scp(DicomScpTimeout=1)
    wanted = [association_request(), STORE, STORE + data(value(bytes(2000), 0))]
    with contextlib.ExitStack() as stack, another_sender(scp, collector):
        peers = [stack.enter_context(Peer(scp.port)) for _ in range(12)]
        for number, peer in enumerate(peers):
            if number % 3:
                peer.associate()
            peer.send(wanted[number % 3][:-30])
        started = time.monotonic()
        left = set(range(len(peers)))
        while left:
            assert time.monotonic() - started < 8
            for number in tuple(left):
                try:
                    peers[number].socket.send(b"x")
                except OSError:
                    left.discard(number)
            time.sleep(0.1)


def test_lengths_that_lie_reserve_nothing(start_scp: StartScp, collector: Collector) -> None:
    scp = start_scp(DicomScpTimeout=2)
    bombs = [struct.pack(">BxI", kind, length) for kind in (1, 4) for length in (0xFFFFFFFF, 1 << 30, 2 << 20)]
    with another_sender(scp, collector):
        for bomb in bombs * 5:
            with Peer(scp.port) as peer:
                peer.associate().send(bomb)
                assert peer.reply()[:1] == bytes((pdu.A_ABORT,))
                assert peer.reply() == b""


def test_idle_associations_end(start_scp: StartScp, collector: Collector) -> None:
    scp = start_scp(DicomScpTimeout=1)
    with another_sender(scp, collector), Peer(scp.port) as idle:
        idle.associate()
        assert idle.reply() == pdu.abort_by_user()
