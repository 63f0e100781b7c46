"""What an operator who mistypes something is told, and with which exit status."""

import json
import subprocess
import sys

import psycopg
import pytest

from tests.support.nodes import NodeProcess


def run(*arguments, **environment):
    command = [sys.executable, "-m", "workers", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment or None)


@pytest.fixture
def configuration(tmp_path):
    def write(**options):
        file = tmp_path / "orthanc.json"
        file.write_text(json.dumps({"StorageDirectory": str(tmp_path / "storage")} | options), "utf-8")
        return file

    return write


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"PostgreSQL": {"EnableIndex": True, "IndexConnectionsCount": "four"}}, "PostgreSQL.IndexConnectionsCount: "),
        ({"PostgreSQL": {"EnableIndex": True, "IndexConectionsCount": 4}}, "PostgreSQL.IndexConectionsCount: "),
        (
            {"PostgreSQL": {"EnableIndex": True, "Lock": True}, "Cluster": {"IngestProcesses": 2}},
            "PostgreSQL.Lock: ",
        ),
        ({"DicomPort": "x"}, "DicomPort: "),
        ({"StoreDicom": False}, "StoreDicom: "),
    ],
)
def test_wrong_configuration_is_status_2_and_names_the_option(configuration, tmp_path, options, message):
    ended = run("ingest", "--config", configuration(**options))
    assert ended.returncode == 2, ended.stderr
    assert ended.stderr.splitlines()[-1].startswith(f"orthanc-cluster: {message}")
    assert not (tmp_path / "storage").exists()


def test_missing_file_and_unknown_command(tmp_path):
    ended = run("ingest", "--config", tmp_path / "none.json")
    assert (ended.returncode, "none.json: no such configuration file" in ended.stderr) == (2, True)
    assert run("ingset").returncode == 2
    assert run("import", "--data", tmp_path, ".").returncode == 2
    assert run("load", "--target", "nonsense").returncode == 2


def test_password_reaches_no_output(configuration):
    uri = "postgresql://orthanc:hunter2secret@127.0.0.1:1/none"
    options = {"PostgreSQL": {"EnableIndex": True, "ConnectionUri": uri, "Host": "x"}}
    ended = run("ingest", "--config", configuration(**options))
    assert ended.returncode == 2
    assert "hunter2secret" not in ended.stdout + ended.stderr


def test_other_revision_is_status_3_and_says_which(configuration, database_uri):
    with psycopg.connect(database_uri, autocommit=True) as connection:
        connection.execute("UPDATE GlobalProperties SET value = '11' WHERE property = 4")
    file = configuration(
        PostgreSQL={"EnableIndex": True, "ConnectionUri": database_uri}, DicomServerEnabled=False, HttpPort=18042
    )
    ended = run("ingest", "--config", file)
    assert ended.returncode == 3, ended.stderr
    assert "revision 11" in ended.stderr
    assert "revision 10" in ended.stderr


def test_port_in_use_is_told(tmp_path, database_uri, storage_directory):
    import socket

    with socket.create_server(("0.0.0.0", 0)) as taken:
        node = NodeProcess("node", tmp_path, database_uri, storage_directory, DicomPort=taken.getsockname()[1])
        with pytest.raises(ChildProcessError):
            node.start()
        assert "DicomPort" in node.log.read_text("utf-8")
        assert node.process.returncode == 2


def test_start_up_log_tells_what_runs(tmp_path, database_uri, storage_directory):
    with NodeProcess("node", tmp_path, database_uri, storage_directory) as node:
        pass
    log = node.log.read_text("utf-8")
    for expected in (
        "orthanc-cluster version: ",
        f"Configuration file: {tmp_path / 'node.json'}",
        "PostgreSQL index: server 127.0.0.1",
        f"Storage area: folder {storage_directory}",
        "node node has started",
        "node node has stopped",
    ):
        assert expected in log
    assert psycopg.conninfo.conninfo_to_dict(database_uri)["password"] not in log
    assert node.process.returncode == 0
