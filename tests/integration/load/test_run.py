"""Whole runs: real senders in processes, real nodes, a real database; and everything that can go wrong on the way."""

import multiprocessing
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cluster.errors import ClusterError, ConfigurationError, NodeBusy, NotDicom
from cluster.ingest.intake import Intake
from tests.integration.load.conftest import Node
from tests.support.proxy import Proxy
from tests.support.settings import settings_for
from workers.load.fleet import SenderDied
from workers.load.options import LoadOptions
from workers.load.run import Progress, run_load
from workers.load.sender import Target
from workers.local.ports import free_ports

STORE_REQUEST = b"\x00\x00\x02\x00\x1a\x00\x00\x001.2.840.10008.5.1.4.1.1.2\x00"
"""(0000,0002) Affected SOP Class UID of a CT in a command set, which only a C-STORE request has."""


class Refusing:
    """Lets through what `decide` does not object to; it gets the number of the request, from 1."""

    def __init__(self, intake: Intake, decide: Callable[[int], ClusterError | None]) -> None:
        self._intake = intake
        self._decide = decide
        self._lock = threading.Lock()
        self._requests = 0

    def receive(self, *arguments: Any, **options: Any) -> Any:
        with self._lock:
            self._requests += 1
            error = self._decide(self._requests)
        if error is not None:
            raise error
        return self._intake.receive(*arguments, **options)


def load(*nodes: Node, progress: Callable[[Progress], None] | None = None, **options: Any) -> Any:
    targets = options.pop("targets", tuple(node.target for node in nodes))
    values = {"senders": 2, "instances": 60, "targets": targets, "settings": nodes[0].settings} | options
    return run_load(LoadOptions(**values), progress)


@pytest.fixture(autouse=True)
def _no_sender_is_left():
    yield
    assert multiprocessing.active_children() == []


def test_every_instance_arrives_once_through_two_nodes(start_node: Callable[..., Node], tmp_path: Path) -> None:
    # Given two nodes on one index
    nodes = start_node(), start_node()
    seen: list[Progress] = []

    # When four senders send, two of them parts of the same studies
    result = load(
        *nodes,
        progress=seen.append,
        senders=4,
        instances=240,
        shared_studies=True,
        count_orphans=True,
        ledger=tmp_path / "ledger.sqlite",
    )

    # Then everything is there, once, and the numbers agree with each other
    assert result.passed, result.findings
    assert (result.planned, result.sent, result.acknowledged, result.retries) == (240, 240, 240, 0)
    assert result.per_target == {str(node.target): 120 for node in nodes}
    assert result.findings.orphans == 0
    last = seen[-1]
    assert (last.planned, last.sent, last.acknowledged, last.retries) == (240, 240, 240, 0)
    assert last.latency_milliseconds["p50"] <= last.latency_milliseconds["p99"]
    assert 0 < result.latency_milliseconds["p50"] <= result.latency_milliseconds["p99"] < 1000 * result.seconds
    assert (tmp_path / "ledger.sqlite").exists()


def test_all_kinds_of_studies_are_accepted(start_node: Callable[..., Node]) -> None:
    # 152 instances are one study of each kind
    result = load(start_node(), senders=1, instances=152, size="mixed")

    assert result.passed, result.findings
    assert result.acknowledged_bytes > 30e6


def test_the_same_seed_sends_what_is_there_already(start_node: Callable[..., Node]) -> None:
    node = start_node()

    assert load(node, seed=7).passed
    assert load(node, seed=7).passed


def test_a_node_without_room_gets_it_again_and_the_other_node_helps(start_node: Callable[..., Node]) -> None:
    # Given a node that refuses every third request for the moment
    refuse = lambda request: NodeBusy("no room") if request % 3 == 0 else None  # noqa: E731
    busy, idle = start_node(lambda intake: Refusing(intake, refuse)), start_node()

    # When senders of both send
    result = load(busy, idle, senders=2, instances=60)

    # Then the other node took what it refused
    assert result.passed, result.findings
    assert result.failures == {"status 0xA700": result.retries}
    assert result.retries > 0
    assert result.per_target[str(idle.target)] > 30


def test_a_refusal_for_good_is_not_repeated(start_node: Callable[..., Node]) -> None:
    # Given a node that takes the fifth request for no DICOM
    node = start_node(lambda intake: Refusing(intake, lambda request: NotDicom("no") if request == 5 else None))

    result = load(node, senders=1, instances=20)

    assert not result.passed
    assert (result.sent, result.acknowledged, result.attempts) == (20, 19, 20)
    assert list(result.failures) == ["status 0xC000"]
    assert result.findings.clean


def test_a_lost_answer_doubles_nothing(start_node: Callable[..., Node]) -> None:
    # Given a wire that swallows the answer to one instance, which the node has stored
    node = start_node()
    with Proxy("127.0.0.1", node.target.port) as proxy:
        cut = threading.Event()

        def swallow(progress: Progress) -> None:
            if progress.acknowledged and not cut.is_set():
                cut.set()
                proxy.swallow_answer_after(STORE_REQUEST)

        # When many are sent through it
        target = Target("127.0.0.1", proxy.port)
        result = load(node, targets=(target,), senders=1, instances=400, progress=swallow)

    # Then one was sent twice, and is there once
    assert proxy.swallowed.is_set()
    assert result.passed, result.findings
    assert result.retries >= 1


def test_cut_connections_lose_nothing(start_node: Callable[..., Node]) -> None:
    # Given a wire that is cut three times
    node = start_node()
    with Proxy("127.0.0.1", node.target.port) as proxy:
        cuts = iter((50, 100, 150, 10**9))
        following = [next(cuts)]

        def cut(progress: Progress) -> None:
            if progress.acknowledged >= following[0]:
                following[0] = next(cuts)
                proxy.cut()

        result = load(
            node,
            targets=(Target("127.0.0.1", proxy.port),),
            senders=4,
            instances=600,
            shared_studies=True,
            progress=cut,
        )

    assert result.passed, result.findings
    assert result.retries >= 1


def test_a_cluster_that_is_gone_is_given_up_in_time(start_node: Callable[..., Node]) -> None:
    # Given a node that cannot be reached any more after the first instances
    node = start_node()
    with Proxy("127.0.0.1", node.target.port) as proxy:

        def vanish(progress: Progress) -> None:
            if progress.acknowledged:
                proxy.refuse()
                proxy.cut()

        # When more is sent
        begun = time.monotonic()
        result = load(
            node,
            targets=(Target("127.0.0.1", proxy.port),),
            instances=5000,
            time_limit_seconds=1.0,
            progress=vanish,
        )

    # Then each sender gives up with its first instance that takes too long, and what was acknowledged is there
    assert time.monotonic() - begun < 30
    assert not result.passed
    assert 0 < result.acknowledged < result.sent <= result.acknowledged + 2
    assert result.findings.clean


def test_an_unreachable_target_is_told_at_once(start_node: Callable[..., Node]) -> None:
    node = start_node()
    (port,) = free_ports(1)
    begun = time.monotonic()

    with pytest.raises(ConfigurationError, match=f"--target: 127.0.0.1:{port}: cannot connect"):
        load(node, targets=(node.target, Target("127.0.0.1", port)))

    assert time.monotonic() - begun < 10


def test_a_target_that_refuses_us_is_told_before_anything_is_sent(start_node: Callable[..., Node]) -> None:
    node = start_node(DicomCheckCalledAet=True, DicomAet="ARCHIVE")

    with pytest.raises(ConfigurationError, match=r"--target: .*rejected"):
        load(node, called_aet="OTHER")
    assert load(node).passed


def test_a_target_that_does_not_take_our_transfer_syntax_is_told(start_node: Callable[..., Node]) -> None:
    node = start_node(AcceptedTransferSyntaxes=["1.2.840.10008.1.2.1"])

    with pytest.raises(ConfigurationError, match=r"does not take SOP class .* in 1\.2\.840\.10008\.1\.2$"):
        load(node)


def test_an_archive_that_cannot_be_checked_is_told_before_anything_is_sent(
    start_node: Callable[..., Node], database_uri: str, empty_database: str, tmp_path: Path, storage_directory: Path
) -> None:
    node = start_node()

    with pytest.raises(ConfigurationError, match="StorageDirectory"):
        load(node, settings=settings_for(database_uri, tmp_path / "elsewhere"))
    with pytest.raises(ClusterError, match=r"(?i)globalintegers|attachedfiles|resources"):
        load(node, settings=settings_for(empty_database, storage_directory))
    assert load(node, instances=2).sent == 2


def test_a_sender_that_dies_ends_the_run(start_node: Callable[..., Node]) -> None:
    def kill(progress: Progress) -> None:
        for child in multiprocessing.active_children()[:1]:
            child.kill()

    with pytest.raises(SenderDied, match="ended with status"):
        load(start_node(), instances=5000, progress=kill)


def test_an_exception_of_the_caller_ends_the_run(start_node: Callable[..., Node]) -> None:
    def interrupt(progress: Progress) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        load(start_node(), instances=5000, progress=interrupt)


def test_a_run_can_be_in_a_thread(start_node: Callable[..., Node]) -> None:
    node = start_node()
    results: list[Any] = []

    thread = threading.Thread(target=lambda: results.append(load(node, instances=20)))
    thread.start()
    thread.join(60)

    assert [result.passed for result in results] == [True]
