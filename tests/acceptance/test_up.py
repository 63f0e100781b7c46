"""`orthanc-cluster up` as a person uses it: addresses, load, import, Ctrl-C, once more on the same folder."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import psycopg
import pydicom
import pytest
from pydicom.errors import InvalidDicomError

from workers.local.children import wait_until

PROGRAM = [sys.executable, "-m", "workers"]


@pytest.fixture
def up(tmp_path):
    """Start `up` on a folder; ends it by Ctrl-C."""
    running = []

    def start(*arguments, nodes=2):
        log = tmp_path / f"up-{len(running)}.log"
        command = [*PROGRAM, "up", "--data", tmp_path / "data", "--nodes", str(nodes), *map(str, arguments)]
        with log.open("w") as output:
            process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
        running.append(process)
        endpoints = tmp_path / "data" / "endpoints.json"
        assert wait_until(lambda: endpoints.exists() or process.poll() is not None, 120)
        assert process.poll() is None, log.read_text()
        return process, json.loads(endpoints.read_text())

    yield start
    for process in running:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            process.wait(60)


def run(*arguments):
    return subprocess.run([*PROGRAM, *map(str, arguments)], capture_output=True, text=True, timeout=120)


def end(process):
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 0


def instances(endpoints, node=0):
    return httpx.get(f"{endpoints['http'][node]}/statistics").json()["CountInstances"]


def readable(folder):
    """SOP instances below a folder that have all three UIDs, found with pydicom alone."""
    found = set()
    for path in folder.rglob("*"):
        if not path.is_file():
            continue
        try:
            dataset = pydicom.dcmread(path, stop_before_pixels=True)
        except (InvalidDicomError, Exception):
            continue
        uids = tuple(str(dataset.get(key, "")) for key in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"))
        if all(uids):
            found.add((str(dataset.get("PatientID", "")), *uids))
    return found


@pytest.mark.filterwarnings("ignore")
def test_a_whole_session(up, tmp_path):
    # Given a cluster of two nodes
    process, endpoints = up()
    assert len(endpoints["http"]) == len(endpoints["dicom"]) == 2
    assert (tmp_path / "data" / "orthanc.json").stat().st_mode & 0o077 == 0
    assert (tmp_path / "data" / "endpoints.json").stat().st_mode & 0o077 == 0
    with psycopg.connect(endpoints["postgresql"]) as connection:
        assert connection.execute("SELECT value FROM GlobalProperties WHERE property = 4").fetchone() == ("10",)

    # When senders push through both, load finds the archive by the address alone
    report = tmp_path / "load.json"
    loaded = run("load", "--target", ",".join(endpoints["dicom"]), "--senders", 4, "--instances", 80, "--json", report)
    assert loaded.returncode == 0, loaded.stdout + loaded.stderr
    result = json.loads(report.read_text())
    wanted = {"sent": 80, "acknowledged": 80, "missing": 0, "duplicated": 0, "wrong_bytes": 0}
    assert {key: result[key] for key in wanted} == wanted
    assert result["instances_per_second"] > 0
    assert {"p50", "p95", "p99"} <= result["latency_ms"].keys()
    assert instances(endpoints, 0) == instances(endpoints, 1) == 80

    # and a folder is imported
    samples = Path(pydicom.__file__).parent / "data" / "test_files" / "dicomdirtests"
    imported = run("import", "--data", tmp_path / "data", "--report", tmp_path / "refused.csv", samples)
    assert "stored" in imported.stdout, imported.stdout + imported.stderr
    assert instances(endpoints) == 80 + len(readable(samples))

    # Then a second `up` on the folder is refused, and after Ctrl-C it goes on with the same data
    second = run("up", "--data", tmp_path / "data")
    assert second.returncode == 2
    assert "another `up` runs" in second.stderr
    before = instances(endpoints)
    end(process)
    assert not (tmp_path / "data" / "endpoints.json").exists()
    assert processes_of(tmp_path / "data") == []
    _, endpoints = up(nodes=1)
    assert instances(endpoints) == before
    assert len(endpoints["dicom"]) == 1


def processes_of(folder):
    """Command lines of processes that mention a folder, this test's own aside."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:
                continue
            if str(folder) in command:
                found.append(command)
    return found


def test_configured_servers_are_used_instead(up, tmp_path, database_uri, redis):
    file = tmp_path / "orthanc.json"
    sections = {"PostgreSQL": {"EnableIndex": True, "ConnectionUri": database_uri}, "Cluster": {"RedisUrl": redis.url}}
    file.write_text(json.dumps(sections | {"DicomAet": "MINE"}))
    _, endpoints = up("--config", file, nodes=1)
    assert psycopg.conninfo.conninfo_to_dict(endpoints["postgresql"]) == psycopg.conninfo.conninfo_to_dict(database_uri)
    assert not (tmp_path / "data" / "postgresql").exists()
    assert not (tmp_path / "data" / "redis").exists()
    assert httpx.get(f"{endpoints['http'][0]}/system").json()["DicomAet"] == "MINE"


def test_taken_port_is_told(tmp_path):
    import socket

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = run("up", "--data", tmp_path / "data", "--dicom-port", port)
    assert ended.returncode == 2
    assert f"--dicom-port: port {port} is in use" in ended.stderr
