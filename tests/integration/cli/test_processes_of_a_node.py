"""A node of several processes on one pair of ports."""

import os
import signal

import httpx
import pytest

from tests.support.nodes import NodeProcess
from workers.load.options import LoadOptions, parse_targets
from workers.load.run import run_load
from workers.local.children import wait_until


def children_of(pid):
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        return [int(child) for child in file.read().split()]


@pytest.fixture
def node(tmp_path, database_uri, storage_directory):
    node = NodeProcess("node", tmp_path, database_uri, storage_directory, cluster={"IngestProcesses": 3})
    with node:
        yield node


def test_processes_share_the_ports_and_add_up_their_metrics(node):
    assert len(children_of(node.process.pid)) == 3
    options = LoadOptions(targets=parse_targets(node.dicom), settings=node.settings, senders=6, instances=60)
    result = run_load(options)
    assert result.passed
    metrics = httpx.get(f"{node.url}/metrics").text
    stored = 'orthanc_cluster_instances_total{door="dimse",outcome="Success"}'
    [line] = [line for line in metrics.splitlines() if line.startswith(stored)]
    assert float(line.split()[-1]) == 60


def test_a_dead_process_ends_the_node(node):
    os.kill(children_of(node.process.pid)[0], signal.SIGKILL)
    assert wait_until(lambda: not node.process.running, 30)
    assert node.process.returncode == 1


def test_children_leave_with_a_killed_parent(node):
    children = children_of(node.process.pid)
    os.kill(node.process.pid, signal.SIGKILL)

    def gone():
        return not any(os.path.exists(f"/proc/{child}") for child in children)

    assert wait_until(gone, 30)
