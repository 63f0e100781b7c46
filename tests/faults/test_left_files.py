"""SIGKILL between file and commit: what a node left without rows is gone soon after, without a search for it."""

import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import psycopg

from tests.support.dicom import make_file
from tests.support.invariants import assert_exact, rows_and_files
from tests.support.nodes import NodeProcess
from workers.local.children import wait_until

STEPS = ("bytes_written", "bytes_durable", "rows_written")
SENDERS, KEPT = 4, 6


def send(url: str, numbers: range, wanted: int) -> list[int]:
    """Statuses until the node dies; 0 for an upload without an answer."""

    def upload(number: int) -> int:
        try:
            return httpx.post(
                f"{url}/instances", content=make_file(SOPInstanceUID=f"2.25.7.{number}"), timeout=30, trust_env=False
            ).status_code
        except httpx.TransportError:
            return 0

    with ThreadPoolExecutor(wanted) as threads:
        return list(threads.map(upload, numbers))


def test_files_of_killed_nodes_go(tmp_path: Path, database_uri: str, storage_directory: Path) -> None:
    serializable = {"EnableIndex": True, "ConnectionUri": database_uri, "TransactionMode": "Serializable"}
    node = NodeProcess("node", tmp_path, database_uri, storage_directory, PostgreSQL=serializable)
    acknowledged = 0
    with node, psycopg.connect(database_uri, autocommit=True) as connection:
        acknowledged += send(node.url, range(KEPT), SENDERS).count(200)
        node.process.terminate()
        # Given nodes that were killed at each step between the bytes and the commit
        for place, step in enumerate(STEPS, start=1):
            node.configure("node", {"Failpoints": {step: "kill@2"}})
            node.start()
            statuses = send(node.url, range(100 * place, 100 * place + 8), SENDERS)
            assert 0 in statuses
            acknowledged += statuses.count(200)
            assert wait_until(lambda: not node.process.running, 20)
        rows, files = rows_and_files(connection, storage_directory)
        left = files - rows
        assert rows <= files
        assert len(left) >= len(STEPS)
        # When they have been silent for some minutes
        connection.execute("UPDATE cluster.attachment_series SET seen_at = seen_at - interval '5 minutes'")
        for path in storage_directory.rglob("*-*"):
            os.utime(path, (time.time() - 300,) * 2)
        # and there is another one
        node.restart_without_failpoints()
        # Then what had no row is gone, and all else is there
        assert wait_until(lambda: not left & rows_and_files(connection, storage_directory)[1], 30)
        found, files = rows_and_files(connection, storage_directory)
        assert found == files == rows
        assert len(rows) >= acknowledged >= KEPT
        assert_exact(connection)
        assert "Traceback" not in node.log.read_text("utf-8")
