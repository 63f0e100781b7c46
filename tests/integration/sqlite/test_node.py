"""A node without PostgreSQL, as a process: the index is its alone, it takes in, and loses nothing when it is killed."""

import contextlib
import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from cluster.failpoints import INGEST
from tests.support.dicom import make_file
from tests.support.indices import connect
from tests.support.invariants import assert_exact
from tests.support.jobs import ended, unzipped
from tests.support.nodes import NodeProcess
from workers.load.options import LoadOptions, parse_targets
from workers.load.run import run_load
from workers.local.children import wait_until
from workers.local.ports import free_ports

STEPS = sorted(INGEST)


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


def test_many_senders_lose_nothing_whatever_their_node_dies_of(tmp_path: Path) -> None:
    # Given a node that is killed at each step of a commit in turn, and started again
    lonely = node(tmp_path)
    deaths: list[int | None] = []

    def doctor() -> None:
        for step in (*STEPS[1:], None):
            wait_until(lambda: not lonely.process.running, 60)
            deaths.append(lonely.process.returncode)
            lonely.configure("lonely", {"Failpoints": {step: "kill@3"}} if step else {})
            lonely.start()

    lonely.configure("lonely", {"Failpoints": {STEPS[0]: "kill@3"}})
    with lonely, ThreadPoolExecutor(1) as threads:
        ward = threads.submit(doctor)
        # When several associations push until everything is acknowledged
        options = LoadOptions(
            targets=parse_targets(lonely.dicom),
            archive=parse_targets(lonely.url)[0],
            senders=6,
            instances=150,
            shared_studies=True,
        )
        result = run_load(options)
        ward.result(60)
    # Then each instance is there once, byte for byte
    assert deaths == [-9] * len(STEPS)
    assert result.passed, result.findings
    assert result.acknowledged == 150
    with connect(f"sqlite:{tmp_path / 'OrthancStorage'}") as session:
        assert_exact(session)
        assert session.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        rows = {uuid for (uuid,) in session.execute("SELECT uuid FROM AttachedFiles")}
    files = {path.name for path in (tmp_path / "OrthancStorage").rglob("*-*") if path.is_file()}
    assert rows <= files
    assert len(files - rows) <= 6 * 2 * len(STEPS)  # of unacknowledged ones, which go some minutes later


def test_a_job_outlives_its_node(tmp_path: Path) -> None:
    lonely = node(tmp_path)
    lonely.configure("lonely", {"Failpoints": {"job_file_added": "kill"}})
    with lonely:
        stored = httpx.post(f"{lonely.url}/instances", content=make_file(), trust_env=False).json()
        path = f"{lonely.url}/studies/{stored['ParentStudy']}/archive"
        with contextlib.suppress(httpx.TransportError):  # an answer is not sure to come
            httpx.post(path, json={"Asynchronous": True}, trust_env=False)
        assert wait_until(lambda: not lonely.process.running, 20)
    lonely.configure("lonely", {})
    with lonely, httpx.Client(base_url=lonely.url, trust_env=False) as client:
        [job_id] = client.get("/jobs").json()
        assert ended(client, job_id)["State"] == "Success"
        assert list(unzipped(client.get(f"/jobs/{job_id}/archive").content).values()) == [
            client.get(f"/instances/{stored['ID']}/file").content
        ]
    assert len(list((tmp_path / "OrthancStorage" / "cluster-jobs").iterdir())) == 1
