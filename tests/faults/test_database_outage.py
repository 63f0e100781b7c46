"""The database goes away and comes back: the node stays alive, turns not ready, and receives again by itself."""

import httpx
import psycopg
import pytest

from tests.support.dicom import make_file
from tests.support.nodes import NodeProcess
from tests.support.proxy import Proxy
from workers.local.children import wait_until
from workers.storescu import Association, AssociationRejected

CT, EXPLICIT = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.1.2.1"


def associate(node):
    address = {"called_aet": "ORTHANC", "calling_aet": "SENDER", "contexts": [(CT, [EXPLICIT])]}
    return Association.request("127.0.0.1", node.dicom_port, **address)


def readiness(node):
    return httpx.get(f"{node.url}/readyz")


@pytest.fixture
def proxy(database_uri):
    parts = psycopg.conninfo.conninfo_to_dict(database_uri)
    with Proxy(parts["host"], int(parts["port"])) as proxy:
        proxy.uri = database_uri.replace(f":{parts['port']}/", f":{proxy.port}/")
        yield proxy


def test_outage_restarts_nobody(tmp_path, proxy, storage_directory):
    uri = proxy.uri
    options = {"PostgreSQL": {"EnableIndex": True, "ConnectionUri": uri, "ConnectionRetryInterval": 1}}
    with NodeProcess("node", tmp_path, uri, storage_directory, **options) as node:
        pid = node.process.pid
        # When the database is away
        proxy.refuse()
        proxy.cut()
        assert wait_until(lambda: readiness(node).status_code == 503, 20)
        # Then the node says so, and does not accept what it could not store
        assert "refused" in readiness(node).text or "closed" in readiness(node).text
        assert httpx.get(f"{node.url}/livez").status_code == 200
        assert httpx.get(f"{node.url}/startupz").status_code == 200
        with pytest.raises(AssociationRejected) as raised:
            associate(node)
        assert (raised.value.transient, raised.value.source, raised.value.reason) == (True, 3, 2)
        assert httpx.post(f"{node.url}/instances", content=make_file()).status_code == 503
        # and afterwards it goes on by itself
        proxy.refuse(False)
        assert wait_until(lambda: readiness(node).status_code == 200, 20)
        associate(node).release()
        assert httpx.post(f"{node.url}/instances", content=make_file()).json()["Status"] == "Success"
        assert node.process.pid == pid


def test_another_revision_under_a_running_node_stops_its_receiving(tmp_path, database_uri, storage_directory):
    options = {"PostgreSQL": {"EnableIndex": True, "ConnectionUri": database_uri, "ConnectionRetryInterval": 1}}
    with (
        NodeProcess("node", tmp_path, database_uri, storage_directory, **options) as node,
        psycopg.connect(database_uri, autocommit=True) as connection,
    ):
        connection.execute("UPDATE GlobalProperties SET value = '11' WHERE property = 4")
        assert wait_until(lambda: readiness(node).status_code == 503, 20)
        assert "revision 11" in readiness(node).text
        connection.execute("UPDATE GlobalProperties SET value = '10' WHERE property = 4")
        assert wait_until(lambda: readiness(node).status_code == 200, 20)
