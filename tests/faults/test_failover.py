"""The server restarts, or its standby takes over, while eight senders send: they see a delay, and nothing is lost.

Half of them send by C-STORE, half over HTTP.
"""

import re

import httpx
import psycopg
import pytest

from cluster.schema.install import install_database
from tests.support.invariants import assert_exact
from tests.support.nodes import NodeProcess
from tests.support.odd_servers import Standby
from tests.support.senders import Senders
from tests.support.tuned_server import TunedPostgreSQL
from workers.local.children import wait_until

BUDGET_SECONDS = 30
SOP_INSTANCE_UID = "SELECT value FROM DicomIdentifiers WHERE tagGroup = 8 AND tagElement = 24"


def metric(node, name):
    [value] = re.findall(rf"^orthanc_cluster_{name} (\S+)$", httpx.get(f"{node.url}/metrics").text, re.MULTILINE)
    return float(value)


def assert_only_delayed(node, senders, uri):
    assert senders.refused == []
    assert senders.longest_seconds < BUDGET_SECONDS
    with psycopg.connect(uri, autocommit=True) as connection:
        stored = [uid for (uid,) in connection.execute(SOP_INSTANCE_UID)]
        assert senders.acknowledged <= set(stored)
        assert len(stored) == len(set(stored))
        assert_exact(connection)
    # and who looks at the metrics knows
    assert metric(node, "connections_lost_total") >= 1
    # None, if no batch was under way: then the pool has met the outage while it looked at an idle connection.
    assert 0 <= metric(node, "outage_seconds_total") < BUDGET_SECONDS


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with TunedPostgreSQL(tmp_path_factory.mktemp("restarted")) as server:
        install_database(server.uri())
        yield server


@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_restart_of_the_server_under_load(tmp_path, server, storage_directory, mode):
    with NodeProcess("node", tmp_path, server.uri(), storage_directory) as node:
        with Senders([node.url, node.dicom]) as senders:
            assert senders.go_on()
            server.restart(immediate=mode == "immediate")
            assert senders.go_on()
        assert_only_delayed(node, senders, server.uri())


@pytest.fixture
def pair(tmp_path_factory):
    """A primary that answers a COMMIT when its standby has it too; and that standby."""
    with TunedPostgreSQL(tmp_path_factory.mktemp("primary")) as primary:
        install_database(primary.uri())
        with Standby(tmp_path_factory.mktemp("standby") / "server", primary) as standby:
            primary.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
            primary.reload()
            with psycopg.connect(primary.uri(), autocommit=True) as connection:
                state = "SELECT sync_state FROM pg_stat_replication"
                assert wait_until(lambda: connection.execute(state).fetchall() == [("sync",)], 20)
            yield primary, standby


def test_promotion_of_a_standby_under_load(tmp_path, pair, storage_directory):
    primary, standby = pair
    user, _, _ = primary.uri().rpartition("@")
    hosts = f"127.0.0.1:{primary.port},127.0.0.1:{standby.port}"
    uri = f"{user}@{hosts}/orthanc?target_session_attrs=read-write"
    with NodeProcess("node", tmp_path, uri, storage_directory) as node:
        with Senders([node.url, node.dicom]) as senders:
            assert senders.go_on()
            primary.kill()
            with psycopg.connect(standby.uri(), autocommit=True) as connection:
                assert connection.execute("SELECT pg_promote()").fetchone() == (True,)
            assert senders.go_on()
        assert_only_delayed(node, senders, standby.uri())
        assert httpx.get(f"{node.url}/readyz").status_code == 200
