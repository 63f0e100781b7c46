"""The end of a process: objects under way are finished, everybody else is sent away."""

import threading
import time

import pytest

from tests.integration.storescp.conftest import Collector, StartScp
from tests.integration.storescp.peer import CT, EXPLICIT, Peer, association_request, data, store_command, value
from tests.integration.storescp.test_clients import associate
from workers.storescp import StoreScp
from workers.storescu import AssociationEnded
from workers.upper_layer import pdu


def connect_for_ever(port: int) -> None:
    while True:
        Peer(port).close()


def test_current_object_is_finished_then_the_association_is_released(scp: StoreScp, collector: Collector) -> None:
    with Peer(scp.port) as peer:
        peer.associate().send(data(value(store_command(), 3)), data(value(b"abcd", 0)))
        assert collector.so_many_under_way(1)
        drained: list[bool] = []
        drain = threading.Thread(target=lambda: drained.append(scp.drain(10)))
        drain.start()

        with pytest.raises(ConnectionRefusedError):
            connect_for_ever(scp.port)
        peer.send(data(value(b"efgh", 2)))

        assert peer.response().status == 0
        assert peer.reply() == pdu.RELEASE_RQ
        peer.send(pdu.RELEASE_RP)
        assert peer.reply() == b""
        drain.join()
    assert drained == [True]
    assert collector.instances[0].content.endswith(b"abcdefgh")


def test_idle_associations_are_released(scp: StoreScp) -> None:
    with Peer(scp.port) as polite, Peer(scp.port) as rude, Peer(scp.port) as stranger:
        polite.associate()
        rude.associate()
        drained: list[bool] = []
        drain = threading.Thread(target=lambda: drained.append(scp.drain(10)))
        drain.start()

        assert polite.reply() == pdu.RELEASE_RQ
        polite.send(pdu.RELEASE_RP)
        assert polite.reply() == b""
        assert stranger.reply() == b""
        assert rude.reply() == pdu.RELEASE_RQ
        assert rude.reply() == pdu.abort_by_user()
        drain.join()
    assert drained == [True]


def test_release_collision(scp: StoreScp) -> None:
    with Peer(scp.port) as peer:
        peer.associate()
        drain = threading.Thread(target=scp.drain, args=(10,))
        drain.start()
        assert peer.reply() == pdu.RELEASE_RQ

        peer.send(pdu.RELEASE_RQ)
        assert peer.reply() == pdu.RELEASE_RP
        peer.send(pdu.RELEASE_RP)

        assert peer.reply() == b""
        drain.join()


def test_busy_sender_gets_every_answer_and_then_a_release(scp: StoreScp, collector: Collector) -> None:
    answered = threading.Event()
    statuses: list[int] = []
    ends: list[AssociationEnded] = []

    def send() -> None:
        association = associate(scp)
        try:
            while True:
                statuses.append(association.store(CT, f"1.2.{len(statuses)}", EXPLICIT, bytes(30_000)))
                answered.set()
        except AssociationEnded as end:
            ends.append(end)

    sender = threading.Thread(target=send)
    sender.start()
    assert answered.wait(10)

    assert scp.drain(10)

    sender.join(10)
    assert not sender.is_alive()
    assert set(statuses) == {0}
    # What was answered was stored; at most one more may have been stored without an answer.
    assert len(statuses) <= len(collector.instances) <= len(statuses) + 1
    assert len(ends) == 1


def test_drain_gives_up_in_time_and_stop_ends_it(scp: StoreScp, collector: Collector) -> None:
    collector.may_commit.clear()
    with Peer(scp.port) as stuck, Peer(scp.port) as slow:
        stuck.associate().send(data(value(store_command(), 3), value(b"abcd", 2)))
        assert collector.reached_commit.wait(10)
        slow.associate().send(data(value(store_command("1.2.4"), 3), value(b"abcd", 0)))
        assert collector.so_many_under_way(2)

        started = time.monotonic()
        assert not scp.drain(0.3)
        assert time.monotonic() - started < 5
        threading.Timer(0.5, collector.may_commit.set).start()
        scp.stop()

        assert slow.reply() == pdu.abort_by_user()
        assert slow.reply() == b""
        assert stuck.response().status == 0
    assert scp.associations == 0
    assert len(collector.instances) == 1


def test_request_that_arrives_while_draining_is_refused_for_the_moment(scp: StoreScp) -> None:
    with Peer(scp.port) as peer, Peer(scp.port) as holder:
        holder.associate()
        drain = threading.Thread(target=scp.drain, args=(10,))
        drain.start()
        peer.send(association_request())

        reply = peer.reply()

        assert reply in (pdu.reject(pdu.LOCAL_LIMIT_EXCEEDED), b"")
        assert holder.reply() == pdu.RELEASE_RQ
        holder.send(pdu.RELEASE_RP)
        drain.join()


def test_stop_twice_and_without_start(start_scp: StartScp) -> None:
    scp = start_scp()
    scp.stop()
    scp.stop()
    assert scp.drain(0)
