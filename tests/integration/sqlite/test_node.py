"""A node without PostgreSQL, as a process: the index is its alone, it takes in, and loses nothing when it is killed."""

import json
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from cluster.database.sqlite_connection import connect
from tests.support.dicom import make_file
from tests.support.nodes import NodeProcess
from workers.local.children import wait_until
from workers.local.ports import free_ports


def node(folder: Path, **options: Any) -> NodeProcess:
    return NodeProcess("lonely", folder, "", folder / "OrthancStorage", PostgreSQL={}, **options)


def refused(folder: Path, *command: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """A command on the same configuration, which must end by itself."""
    ports = free_ports(2)
    file = folder / "second.json"
    document = {"StorageDirectory": str(folder / "OrthancStorage"), "DicomPort": ports[0], "HttpPort": ports[1]}
    file.write_text(json.dumps(document | options), "utf-8")
    argv = [sys.executable, "-m", "workers", *command, "--config", str(file)]
    return subprocess.run(argv, capture_output=True, text=True, timeout=60)


def test_one_process_at_a_time(tmp_path: Path) -> None:
    with node(tmp_path) as first:
        second = refused(tmp_path, "ingest")
        assert second.returncode == 3
        assert "is in use by another process, a node or an Orthanc; it serves one at a time" in second.stderr
        assert httpx.get(f"{first.url}/system", trust_env=False).json()["DatabaseBackendPlugin"] is None
        first.process.kill()
    # A lock outlives nobody.
    with node(tmp_path):
        pass


@pytest.mark.parametrize(
    ("command", "options", "named"),
    [
        (("ingest",), {"Cluster": {"IngestProcesses": 2}}, "Cluster.IngestProcesses: must be 1"),
        (("worker",), {}, "PostgreSQL.EnableIndex: must be true"),
        (("import", "x"), {}, "PostgreSQL.EnableIndex: must be true"),
        (("nodes",), {}, "PostgreSQL.EnableIndex: must be true"),
        (("schema", "status"), {}, "PostgreSQL.EnableIndex: must be true"),
    ],
)
def test_what_needs_several_processes_is_refused(
    tmp_path: Path, command: tuple[str, ...], options: dict[str, Any], named: str
) -> None:
    answer = refused(tmp_path, *command, **options)
    assert (answer.returncode, named in answer.stderr) == (2, True), answer.stderr
    assert not (tmp_path / "OrthancStorage").exists()


@pytest.mark.parametrize("step", ["bytes_written", "bytes_durable", "rows_written", "rows_committed"])
def test_what_was_acknowledged_survives_a_kill(tmp_path: Path, step: str) -> None:
    # Given a node that stored one instance, and dies on the way of the next
    known, lost = make_file(SOPInstanceUID="2.25.1"), make_file(SOPInstanceUID="2.25.2")
    lonely = node(tmp_path)
    with lonely:
        assert httpx.post(f"{lonely.url}/instances", content=known, trust_env=False).status_code == 200
    lonely.configure("lonely", {"Failpoints": {step: "kill"}})
    with lonely:
        with pytest.raises(httpx.TransportError):
            httpx.post(f"{lonely.url}/instances", content=lost, trust_env=False)
        wait_until(lambda: not lonely.process.running, 20)
    # When it is back and the sender tries again
    lonely.configure("lonely", {})
    with lonely:
        answer = httpx.post(f"{lonely.url}/instances", content=lost, trust_env=False).json()
        instances = httpx.get(f"{lonely.url}/instances", trust_env=False).json()
        files = [httpx.get(f"{lonely.url}/instances/{each}/file", trust_env=False).content for each in instances]
    # Then each is there once, byte for byte
    assert answer["Status"] == ("AlreadyStored" if step == "rows_committed" else "Success")
    assert sorted(files) == sorted((known, lost))
    with closing(connect(tmp_path / "OrthancStorage")) as index:
        assert index.execute("SELECT changeType FROM Changes ORDER BY seq").fetchall() == [(2,), (4,), (5,), (3,), (2,)]
        assert index.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
