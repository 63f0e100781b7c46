"""A StoreScp on loopback in front of a collector that takes the place of the intake."""

import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol, Self

import pytest

from cluster.errors import ClusterError
from cluster.ingest.origin import Origin
from tests.support.settings import settings_for
from workers.storescp import StoreScp


@dataclass
class Received:
    """One instance as it reached the collector."""

    origin: Origin
    sop_class_uid: str | None
    sop_instance_uid: str | None
    content: bytearray = field(default_factory=bytearray)
    collector: "Collector | None" = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        assert self.collector is not None
        with self.collector.changed:
            self.collector.under_way -= 1
            self.collector.changed.notify_all()

    def write(self, data: bytes | memoryview) -> None:
        assert self.collector is not None
        self.content += data
        if self.collector.fail_writing_after is not None and len(self.content) > self.collector.fail_writing_after:
            raise self.collector.error

    def commit(self) -> None:
        assert self.collector is not None
        self.collector.reached_commit.set()
        assert self.collector.may_commit.wait(30)
        if self.collector.fail_committing:
            raise self.collector.error
        self.collector.instances.append(self)


@dataclass
class Collector:
    """Keeps what was committed; fails where it is told to, with `error`."""

    instances: list[Received] = field(default_factory=list)
    error: Exception = field(default_factory=ClusterError)
    fail_receiving: bool = False
    fail_writing_after: int | None = None
    fail_committing: bool = False
    reached_commit: threading.Event = field(default_factory=threading.Event)
    may_commit: threading.Event = field(default_factory=threading.Event)
    changed: threading.Condition = field(default_factory=threading.Condition)
    under_way: int = 0

    def __post_init__(self) -> None:
        self.may_commit.set()

    def receive(
        self, origin: Origin, *, sop_class_uid: str | None = None, sop_instance_uid: str | None = None
    ) -> Received:
        if self.fail_receiving:
            raise self.error
        with self.changed:
            self.under_way += 1
            self.changed.notify_all()
        return Received(origin, sop_class_uid, sop_instance_uid, collector=self)

    def nothing_under_way(self) -> bool:
        """Wait until every reception has been left."""
        with self.changed:
            return self.changed.wait_for(lambda: self.under_way == 0, 10)

    def so_many_under_way(self, number: int) -> bool:
        """Wait until `number` receptions have begun and none of them has been left."""
        with self.changed:
            return self.changed.wait_for(lambda: self.under_way == number, 10)


class StartScp(Protocol):
    def __call__(
        self, *, ready: Callable[[], bool] = ..., maximum_pdu_length: int = ..., cluster: Any = ..., **options: Any
    ) -> StoreScp: ...


@pytest.fixture
def collector() -> Iterator[Collector]:
    collector = Collector()
    yield collector
    collector.may_commit.set()


@pytest.fixture
def port() -> Iterator[int]:
    """A port that nobody else gets while the test runs; StoreScp shares it by SO_REUSEPORT."""
    with socket.socket(socket.AF_INET6 if socket.has_dualstack_ipv6() else socket.AF_INET) as reserved:
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        reserved.bind(("", 0))
        yield reserved.getsockname()[1]


@pytest.fixture
def start_scp(collector: Collector, port: int) -> Iterator[StartScp]:
    """Start a StoreScp with Orthanc options by their names; it is stopped at the end, and its threads are gone."""
    started: list[StoreScp] = []
    before = set(threading.enumerate())

    def start(
        *,
        ready: Callable[[], bool] = lambda: True,
        maximum_pdu_length: int = 131072,
        cluster: Any = None,
        **options: Any,
    ) -> StoreScp:
        settings = settings_for(cluster=cluster, **({"DicomPort": port} | options))
        scp = StoreScp(settings, collector, ready, maximum_pdu_length=maximum_pdu_length)
        scp.start()
        started.append(scp)
        return scp

    yield start
    collector.may_commit.set()
    for scp in started:
        scp.stop()
        assert scp.associations == 0
    left = {thread for thread in threading.enumerate() if thread.name.startswith("dicom-")} - before
    assert not left


@pytest.fixture
def scp(start_scp: StartScp) -> StoreScp:
    """A StoreScp with default settings."""
    return start_scp()
