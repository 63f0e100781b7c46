"""POST /tools/reset: the node drains, and the same process begins anew with its configuration read again."""

from pathlib import Path

import httpx
import pytest

from tests.support.dicom import make_file
from tests.support.nodes import NodeProcess
from workers.local.children import wait_until


@pytest.mark.parametrize("processes", [1, 2])
def test_a_node_begins_anew(tmp_path: Path, database_uri: str, storage_directory: Path, processes: int) -> None:
    options = {"AllowReset": True, "IngestProcesses": processes}
    with (
        NodeProcess("before", tmp_path, database_uri, storage_directory, cluster=options) as node,
        httpx.Client(base_url=node.url, timeout=30, trust_env=False) as client,
    ):
        stored = client.post("/instances", content=make_file()).raise_for_status().json()["ID"]
        pid = node.process.pid
        node.configure("after", options | {"NodeName": "after", "AllowReset": False, "IngestProcesses": 1})
        answer = client.post("/tools/reset")
        assert (answer.status_code, answer.json()) == (200, {})

        def is_anew() -> bool:
            try:
                answer = client.get("/system")
                return bool(answer.json()["DatabaseServerIdentifier"] == "after") and client.get("/readyz").is_success
            except httpx.TransportError:
                return False

        wait_until(is_anew, 30)
        assert client.get(f"/instances/{stored}/file").content
        assert client.post("/instances", content=make_file()).is_success
        # What it says now is in force.
        assert client.post("/tools/reset").status_code == 403
        assert client.get("/metrics").is_success
        assert node.process.running
        assert node.process.pid == pid
