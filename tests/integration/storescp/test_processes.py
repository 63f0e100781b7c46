"""Several processes on one port, and a port that cannot be had."""

import multiprocessing
import socket
from multiprocessing.connection import Connection

import pytest

from cluster.errors import ConfigurationError
from tests.integration.storescp.conftest import Collector, StartScp
from tests.integration.storescp.test_clients import associate
from tests.support.settings import settings_for
from workers.storescp import StoreScp
from workers.storescu import Association

CT, EXPLICIT = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.1.2.1"


def serve(port: int, control: Connection) -> None:
    """Body of a process: serve until told to stop, then say how many instances came."""
    collector = Collector()
    scp = StoreScp(settings_for(DicomPort=port), collector, lambda: True)
    scp.start()
    control.send(scp.port)
    control.recv()
    drained = scp.drain(10)
    control.send((drained, len(collector.instances)))


def test_processes_share_a_port(port: int) -> None:
    context = multiprocessing.get_context("spawn")
    controls, processes = [], []
    for _ in range(2):
        ours, theirs = context.Pipe()
        process = context.Process(target=serve, args=(port, theirs), daemon=True)
        process.start()
        controls.append(ours)
        processes.append(process)
    assert [control.recv() for control in controls] == [port, port]

    for number in range(40):
        with Association.request(
            "127.0.0.1", port, called_aet="ORTHANC", calling_aet="MANY", contexts=[(CT, [EXPLICIT])]
        ) as association:
            assert association.store(CT, f"1.2.{number}", EXPLICIT, b"abcd") == 0

    for control in controls:
        control.send("stop")
    reports = [control.recv() for control in controls]
    for process in processes:
        process.join(10)
        assert process.exitcode == 0
    assert [drained for drained, _ in reports] == [True, True]
    counts = [count for _, count in reports]
    assert sum(counts) == 40
    assert min(counts) > 0


def test_port_of_another_program_is_an_error_that_names_the_setting(start_scp: StartScp) -> None:
    with socket.create_server(("", 0)) as other:
        taken = other.getsockname()[1]

        with pytest.raises(ConfigurationError, match=rf"DicomPort: cannot listen on port {taken}: "):
            start_scp(DicomPort=taken)


def test_ipv4_and_ipv6(start_scp: StartScp, collector: Collector) -> None:
    scp = start_scp()
    with associate(scp) as association:
        assert association.store(CT, "1.2.3", EXPLICIT, b"ab") == 0
    if socket.has_dualstack_ipv6():
        with Association.request(
            "::1", scp.port, called_aet="ORTHANC", calling_aet="SIX", contexts=[(CT, [EXPLICIT])]
        ) as association:
            assert association.store(CT, "1.2.4", EXPLICIT, b"ab") == 0

    assert [instance.origin.remote_ip for instance in collector.instances] == ["127.0.0.1", "::1"][
        : len(collector.instances)
    ]
