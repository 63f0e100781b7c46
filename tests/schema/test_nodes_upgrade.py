"""Nodes that start on an older revision: exactly one upgrades it, all become ready, and the world can watch."""

import contextlib
import multiprocessing
import threading
from concurrent.futures import ProcessPoolExecutor

import httpx
import psycopg
import pytest

from cluster.coordinator.gate import Gate
from cluster.coordinator.membership import live_nodes
from cluster.database import Database
from cluster.errors import SchemaMismatch
from cluster.schema.install import CLUSTER_VERSION
from cluster.schema.ledger import unfinished_back_fills
from cluster.schema.phases import online_steps
from tests.schema.archive import housekeep, wrong_child_counts
from tests.support.dicom import make_file
from tests.support.nodes import NodeProcess
from tests.support.settings import settings_for
from workers.local.children import wait_until
from workers.storescu import Association, AssociationRejected

NODES = 8
CT, EXPLICIT = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.1.2.1"


def uri_of(connection):
    info = connection.info
    return f"postgresql://{info.user}:{info.password}@{info.host}:{info.port}/{info.dbname}"


def start(uri: str, node: int) -> str | None:
    """A node's way: wait for the gate, watch, and leave when nothing of the upgrade is left to do."""
    settings = settings_for(uri, cluster={"NodeName": f"node-{node}"}, postgresql={"ConnectionRetryInterval": 1})
    gate = Gate(settings, role="ingest")
    with contextlib.closing(gate), psycopg.connect(uri, autocommit=True) as connection:
        if not gate.wait_until_ready():
            return gate.reason
        watch = threading.Thread(target=gate.keep_watch)
        watch.start()
        done = wait_until(lambda: not unfinished_back_fills(connection), 30)
        gate.stop()
        watch.join()
        return "ready" if done else "back-fills are left"


def test_many_starts_at_once_on_revision_1(index):
    connection = index(1, filled=True)
    with ProcessPoolExecutor(NODES, multiprocessing.get_context("spawn")) as pool:
        outcomes = list(pool.map(start, [uri_of(connection)] * NODES, range(NODES)))
    assert outcomes == ["ready"] * NODES
    steps = connection.execute("SELECT step, count(*) FROM cluster.schema_history GROUP BY step").fetchall()
    assert dict(steps) == dict.fromkeys(
        [f"install cluster {CLUSTER_VERSION}", *(step.name for step in online_steps(1, 10))], 1
    )
    # Everything before the switch and the switch itself was one node's.
    before = "SELECT DISTINCT node FROM cluster.schema_history WHERE step NOT LIKE 'after:%'"
    assert len(connection.execute(before).fetchall()) == 1
    connection.execute("SET search_path TO public")
    housekeep(connection, 10)
    assert wrong_child_counts(connection) == []


def readiness(node):
    answer = httpx.get(f"{node.url}/readyz")
    return answer.status_code, answer.json().get("reason", "")


def test_nodes_are_alive_and_say_how_far_the_upgrade_is(index, tmp_path, storage_directory):
    connection = index(1, filled=True)
    uri = uri_of(connection)
    options = {"PostgreSQL": {"EnableIndex": True, "ConnectionUri": uri, "ConnectionRetryInterval": 1}}
    nodes = [NodeProcess(name, tmp_path, uri, storage_directory, **options) for name in ("a", "b")]
    with contextlib.ExitStack() as stack:
        # Given a session that keeps the switch waiting
        reader = stack.enter_context(psycopg.connect(uri))
        reader.execute("SELECT count(*) FROM public.Resources")
        for node in nodes:
            node.process.start()
            stack.callback(node.process.terminate)
            assert wait_until(lambda node=node: _answers(node), 30)

        # Then one says what it does and what is in its way, the other for whom it waits; both are alive
        def upgrader():
            return [node for node in nodes if "in the way: pid" in readiness(node)[1]]

        assert wait_until(upgrader, 30)
        [busy] = upgrader()
        [waiting] = [node for node in nodes if node is not busy]
        status, reason = readiness(busy)
        assert status == 503
        assert reason.startswith("upgrade 1→10, step 9 of 11, ")
        assert f"pid {reader.info.backend_pid} " in reason
        name = "ab"[nodes.index(busy)]
        assert wait_until(lambda: readiness(waiting)[1].startswith("waiting for upgrade 1→10, step 9 of 11, "), 10)
        assert readiness(waiting)[1].endswith(f" %, by node {name}")
        for node in nodes:
            assert httpx.get(f"{node.url}/livez").status_code == 200
            assert httpx.get(f"{node.url}/startupz").status_code == 503
            metrics = httpx.get(f"{node.url}/metrics").text
            assert 'orthanc_cluster_upgrade_phase{phase="switch"} 1.0' in metrics
            assert 0 < _metric(metrics, "orthanc_cluster_upgrade_progress_ratio") < 1
            # and take nothing that they could not store
            with pytest.raises(AssociationRejected) as rejected:
                Association.request(
                    "127.0.0.1", node.dicom_port, called_aet="ORTHANC", calling_aet="S", contexts=[(CT, [EXPLICIT])]
                )
            assert (rejected.value.transient, rejected.value.source, rejected.value.reason) == (True, 3, 2)
            assert httpx.post(f"{node.url}/instances", content=make_file()).status_code == 503
        with contextlib.closing(Database(settings_for(uri).postgresql)) as database:
            database.open()
            assert {node.name: (node.reason or "").partition(",")[0] for node in live_nodes(database)} == {
                name: "upgrade 1→10",
                "ba"[nodes.index(busy)]: "waiting for upgrade 1→10",
            }

        # When it ends, both become ready by themselves, and what was left is done
        reader.rollback()
        for node in nodes:
            assert wait_until(lambda node=node: readiness(node)[0] == 200, 30)
            answer = httpx.post(f"{node.url}/instances", content=make_file(PatientID=node.dicom))
            assert answer.json()["Status"] == "Success"
        assert wait_until(lambda: not unfinished_back_fills(connection), 30)


def test_without_automatic_upgrade_a_node_refuses_and_leaves_the_index_alone(index):
    connection = index(4, filled=True)
    settings = settings_for(uri_of(connection), cluster={"AutomaticUpgrade": False})
    with (
        contextlib.closing(Gate(settings, role="ingest")) as gate,
        pytest.raises(SchemaMismatch, match=r"at revision 4; .* schema upgrade"),
    ):
        gate.wait_until_ready()
    assert connection.execute("SELECT to_regnamespace('cluster')").fetchone() == (None,)


def test_a_node_that_was_ready_does_not_undo_a_downgrade(index):
    connection = index(10, fresh=True)
    settings = settings_for(uri_of(connection), postgresql={"ConnectionRetryInterval": 1})
    with contextlib.closing(Gate(settings, role="ingest")) as gate:
        assert gate.wait_until_ready()
        connection.execute("UPDATE GlobalProperties SET value = '6' WHERE property = 4")
        watch = threading.Thread(target=gate.keep_watch)
        watch.start()
        assert wait_until(lambda: "revision 6" in (gate.reason or ""), 10)
        gate.stop()
        watch.join()
    assert connection.execute("SELECT value FROM GlobalProperties WHERE property = 4").fetchone() == ("6",)


def _answers(node):
    try:
        return httpx.get(f"{node.url}/livez").status_code == 200
    except httpx.TransportError:
        return False


def _metric(text, name):
    [line] = [line for line in text.splitlines() if line.startswith(f"{name} ")]
    return float(line.split()[1])
