"""Loads over HTTP and STOW-RS, and archives known by their REST API only: a node as a process, a plain Orthanc."""

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import httpx
import psycopg
import pytest

from cluster.errors import ConfigurationError
from tests.integration.load.conftest import PlainOrthanc, Run, of
from tests.support.nodes import NodeProcess
from workers.load.http_check import HttpArchive, check_over_http
from workers.load.ledger import Ledger
from workers.load.options import parse_targets
from workers.load.plan import Portion, instances_of
from workers.load.run import run_load
from workers.load.stored_file import path_of
from workers.load.transports import Credentials, HttpTransport, part10
from workers.local.children import wait_until

SCENARIO = Path(__file__).parent / "scenarios" / "short.yaml"


def test_uploads_are_checked_over_the_same_api(node: NodeProcess) -> None:
    result = run_load(of(node, shared_studies=True))
    assert result.passed
    assert result.per_target == {node.url: 30}


def test_c_store_can_be_checked_over_http(node: NodeProcess) -> None:
    result = run_load(of(node, node.dicom))
    assert result.passed
    assert result.per_target == {node.dicom: 30}


def test_what_is_missing_or_changed_behind_the_api_is_found(node: NodeProcess, tmp_path: Path) -> None:
    # Given a run that passed
    assert run_load(of(node, ledger=tmp_path / "ledger.sqlite", instances=20, seed=1)).passed
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        first, second, *_ = (instance.public_id for batch in ledger.acknowledged() for instance in batch)
        # When one instance is deleted, and a byte in the file of another is changed
        with (
            httpx.Client(base_url=node.url, auth=("loader", "secret"), trust_env=False) as client,
            psycopg.connect(node.settings.postgresql.conninfo(), autocommit=True) as connection,
        ):
            assert client.delete(f"/instances/{first}").status_code == 200
            (uuid,) = connection.execute(
                "SELECT uuid FROM AttachedFiles a JOIN Resources r ON r.internalId = a.id"
                " WHERE r.publicId = %s AND fileType = 1",
                [second],
            ).fetchone()
        file = path_of(node.settings.storage_directory, uuid)
        content = bytearray(file.read_bytes())
        content[-1] ^= 1
        file.write_bytes(content)
        # Then both are found
        (target,) = parse_targets(node.url)
        with HttpArchive(target, Credentials("loader", "secret")) as archive:
            findings = check_over_http(ledger, archive)
    assert (findings.missing, findings.wrong_bytes, findings.duplicated) == ({first}, {second}, set())


def test_a_wrong_password_ends_before_anything_is_sent(node: NodeProcess) -> None:
    with pytest.raises(ConfigurationError, match="401"):
        run_load(of(node, credentials=Credentials("loader", "wrong")))


def test_a_scenario_with_report_junit_and_thresholds(
    node: NodeProcess,
    run: Run,
    tmp_path: Path,
) -> None:
    password = tmp_path / "password"
    password.write_text("secret\n")
    report, verdict, numbers = tmp_path / "page.html", tmp_path / "junit.xml", tmp_path / "numbers.json"
    arguments = (
        *("--target", f"{node.dicom},{node.url}", "--archive", node.url, "--scenario", SCENARIO),
        *("--http-user", "loader", "--http-password-file", password, "--metrics", f"{node.url}/metrics"),
        *("--report", report, "--junit", verdict, "--json", numbers),
    )

    assert run(*arguments) == 0

    # Phases of 15 and 50 instances
    document = json.loads(numbers.read_text())
    assert document["acknowledged"] == 65
    assert document["seconds"] > 1.2
    suite = ET.parse(verdict).getroot()
    assert (suite.get("name"), suite.get("failures")) == ("a short day", "0")
    page = report.read_text()
    for part in ("a short day", "Latency", "Searches beside", "What the servers said", "<svg"):
        assert part in page
    assert "secret" not in page

    # A threshold that cannot be kept decides about status, XML and page
    again = (*arguments, "--threshold", "p50-milliseconds=0.001", "--ledger", tmp_path / "second.sqlite")
    assert run(*again) == 1
    assert ET.parse(verdict).getroot().get("failures") == "1"
    assert "p50 of the latency" in report.read_text()


def test_a_run_that_is_interrupted_or_killed_goes_on_where_it_was(node: NodeProcess, tmp_path: Path) -> None:
    ledger, numbers, password = tmp_path / "ledger.sqlite", tmp_path / "numbers.json", tmp_path / "password"
    password.write_text("secret")
    options = ("--instances", "60", "--size", "tiny", "--senders", "2", "--seed", "5", "--ledger", str(ledger))
    doors = (
        "--target",
        node.url,
        "--archive",
        node.url,
        "--http-user",
        "loader",
        "--http-password-file",
        str(password),
    )
    command = [sys.executable, "-m", "workers", "load", *doors, *options, "--json", str(numbers)]

    # Given a run that was interrupted, which it can be for the several seconds that its lines take
    slowly = [*command, "--slow", "100:12"]
    process = subprocess.Popen(slowly, stdout=subprocess.PIPE, text=True, preexec_fn=_mind_ctrl_c)
    assert wait_until(lambda: _rows(ledger) >= 4, 60)
    os.kill(process.pid, signal.SIGINT)
    output, _ = process.communicate(timeout=60)
    # Then it has checked what was acknowledged, and says how to go on
    first = json.loads(numbers.read_text())
    assert process.returncode == 1
    assert "--resume goes on" in output
    assert 4 <= first["acknowledged"] < 60
    assert first["missing"] == 0

    # When it goes on, is killed, and is resumed, then every instance was sent, and is there once
    with subprocess.Popen([*slowly, "--resume"], stdout=subprocess.DEVNULL) as process:
        assert wait_until(lambda: _rows(ledger) >= first["acknowledged"] + 4, 60)
        process.kill()
    again = subprocess.run([*command, "--resume"], capture_output=True, text=True, timeout=120, check=False)
    assert again.returncode == 0, again.stdout + again.stderr
    document = json.loads(numbers.read_text())
    assert (document["acknowledged"], document["retries"]) == (60, 0)
    # And another run cannot be resumed by mistake
    with pytest.raises(ConfigurationError, match="--instances"):
        run_load(of(node, ledger=ledger, instances=61, resume=True))


def _mind_ctrl_c() -> None:
    """A test runner in the background has it ignored, and so would its children."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def _rows(ledger: Path) -> int:
    """How many instances the ledger holds; 0 as long as it is none yet."""
    try:
        with contextlib.closing(sqlite3.connect(f"file:{ledger}?mode=ro", uri=True)) as database:
            return int(database.execute("SELECT count(*) FROM deliveries").fetchone()[0])
    except sqlite3.OperationalError:
        return 0


class _Stow(BaseHTTPRequestHandler):
    """As much of a DICOMweb server as a sender can see; keeps what it got."""

    got: list[tuple[str, bytes]]
    failing: bool

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.got.append((self.headers["Content-Type"], body))
        answer = json.dumps({"00081198": {"vr": "SQ", "Value": [{}] if self.failing else []}}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        pass


@pytest.mark.parametrize("failing", [False, True])
def test_stow(failing: bool) -> None:
    handler: Any = type("Handler", (_Stow,), {"got": [], "failing": failing})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        (target,) = parse_targets(f"stow+http://127.0.0.1:{server.server_port}/dicom-web")
        transport = HttpTransport(target, 10)
        (instance,) = instances_of(Portion("0", range(1)), size="tiny", seed=1)
        assert transport.open() == ""
        attempt = transport.send(instance)
        transport.close()
        server.shutdown()
    ((content_type, body),) = handler.got
    assert attempt.stored is not failing
    assert content_type.startswith('multipart/related; type="application/dicom"; boundary=')
    boundary = content_type.rpartition("=")[2].encode()
    head, _, rest = body.partition(b"\r\n\r\n")
    assert head == b"--" + boundary + b"\r\nContent-Type: application/dicom"
    assert rest == part10(instance) + b"\r\n--" + boundary + b"--\r\n"


def test_a_plain_orthanc_can_be_loaded(run: Run, plain_orthanc: PlainOrthanc, tmp_path: Path) -> None:
    """By C-STORE and by HTTP, and checked over its REST API."""
    report = tmp_path / "report.html"
    doors = f"{plain_orthanc.dicom},{plain_orthanc.url}"
    options = ("--senders", 2, "--instances", 40, "--size", "tiny", "--same-study", "--report", report)
    assert run("--target", doors, "--archive", plain_orthanc.url, *options) == 0
    assert "passed" in report.read_text()
