"""Every benchmark still runs, and what it checks besides speed holds; that of rollouts in `rollout/test_rollout.py`."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.support.orthanc import orthanc_files
from tests.support.servers import dcmtk_program

ROOT = Path(__file__).parents[2]


@pytest.fixture
def short_folder():
    """The path of a socket below it is not too long (108 bytes on Linux), whatever the test is called."""
    with tempfile.TemporaryDirectory() as folder:
        yield folder


@pytest.mark.timeout(150)
def test_schema_upgrade(tmp_path):
    file = tmp_path / "result.json"
    command = [sys.executable, "-m", "benchmarks.schema_upgrade", "--smoke", "--json", file]
    # Its server lives in the temporary folder, whatever becomes of it.
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    ended = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120)
    assert ended.returncode == 0, ended.stdout[-3000:] + ended.stderr[-3000:]
    found = json.loads(file.read_text("utf-8"))
    assert sorted(found) == ["f1", "f2", "f3", "f4"]
    figures = [figure for part in found.values() for figure in part["figures"]]
    assert [figure["name"] for figure in figures if not figure["met"] and not figure["is_speed"]] == []
    assert all(part["machine"]["postgresql"] and part["sizes"] for part in found.values())
    log = file.with_suffix(".f2.log").read_text("utf-8").splitlines()
    moments = [line[:23] for line in log]
    assert moments == sorted(moments)
    for text in ("the upgrader is started", "switch: 1 → 10 is done", "instances acknowledged in this second"):
        assert any(text in line for line in log)


@pytest.mark.timeout(150)
@pytest.mark.parametrize(
    ("name", "parts", "needed"),
    [
        ("floor", ["bytes", "index", "receiving"], "dcmtk"),
        ("latency", ["distance", "half"], "dcmtk orthanc"),
        ("scale_out", ["mixes", "nodes"], "dcmtk"),
        ("memory", ["dicom", "http"], ""),
        ("import_files", ["import"], "orthanc"),
        ("rest_reads", ["reads"], ""),
        ("storage_areas", ["areas"], ""),
        ("load_comparison", ["load"], "orthanc"),
        ("scaling", ["growth"], ""),
    ],
)
def test_parts_of_ingest(name, parts, needed, tmp_path, short_folder):
    if "dcmtk" in needed:
        dcmtk_program("dcmsend")
        dcmtk_program("storescp")
    if "orthanc" in needed:
        orthanc_files()
    file = tmp_path / "result.json"
    command = [sys.executable, "-m", f"benchmarks.{name}", "--smoke", "--json", file]
    environment = os.environ | {"TMPDIR": str(short_folder)}
    ended = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120)
    assert ended.returncode == 0, ended.stdout[-3000:] + ended.stderr[-3000:]
    found = json.loads(file.read_text("utf-8"))
    assert sorted(found) == parts
    assert all(part["figures"] and part["machine"]["versions"] is not None for part in found.values())


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("name", "parts"),
    [("ingest_cstore", ["cstore"]), ("ingest_http", ["http"]), ("orthanc_baseline", ["cstore", "http"])],
)
def test_side_by_side_with_orthanc(name, parts, tmp_path):
    dcmtk_program("dcmsend")
    orthanc_files()
    file = tmp_path / f"{name}.json"
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    for module, options in ((name, ["--smoke", "--json", file]), ("report", ["--results", tmp_path])):
        command = [sys.executable, "-m", f"benchmarks.{module}", *options]
        ended = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=240)
        assert ended.returncode == 0, ended.stdout[-3000:] + ended.stderr[-3000:]
    found = json.loads(file.read_text("utf-8"))
    assert sorted(found) == parts
    for part in found.values():
        assert {sample["is_ours"] for sample in part["details"]["samples"]} == {True, False}
        assert all(sample["rate"] > 0 and sum(sample["cpu"].values()) > 0 for sample in part["details"]["samples"])
        assert len(part["machine"]["versions"]) == 3
    page = (tmp_path / "report.html").read_text("utf-8")
    assert page.count("<svg") >= len(parts)
    assert "<script" not in page


@pytest.mark.timeout(120)
def test_tls(tmp_path):
    command = [sys.executable, "-m", "benchmarks.tls", "--smoke"]
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    ended = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=100)
    assert ended.returncode == 0, ended.stdout[-3000:] + ended.stderr[-3000:]
    assert ended.stdout.count("over TLS") == 2
