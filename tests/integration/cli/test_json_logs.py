"""With `Cluster.LogFormat` json every line of a process is one object, from its start over its errors to its end."""

import json
import socket
import uuid

import httpx

from cluster.bulk.files import cut, walk
from cluster.bulk.ledger import Ledger
from cluster.database import Database
from cluster.log_fields import LogField
from tests.support.backstage import RoleProcess
from tests.support.dicom import make_file
from tests.support.nodes import NodeProcess
from tests.support.settings import settings_for
from workers.local.children import wait_until
from workers.storescu.association import Association

ALWAYS = {"time", "level", "logger", "message", "node", "process", "thread"}


def lines(log):
    """Every line as an object; raises where one is none."""
    found = [json.loads(line) for line in log.read_text("utf-8").splitlines()]
    assert found
    for line in found:
        assert line.keys() >= ALWAYS
        assert line.keys() <= set(LogField)
    return found


def messages(log):
    return [line["message"] for line in lines(log)]


def test_a_node(tmp_path, database_uri, storage_directory):
    node = NodeProcess("a", tmp_path, database_uri, storage_directory, cluster={"LogFormat": "json"})
    with node:
        assert httpx.post(f"{node.url}/instances", content=b"no DICOM").status_code == 400
        host, port = node.dicom.split(":")
        contexts = [("1.2.840.10008.1.1", ["1.2.840.10008.1.2"])]  # Verification, Implicit VR Little Endian
        with Association.request(host, int(port), called_aet="ORTHANC", calling_aet="CT", contexts=contexts):
            pass
        # and a request that is none, of which uvicorn complains
        with socket.create_connection(("127.0.0.1", node.http_port)) as connection:
            connection.sendall(b"nonsense\r\n\r\n")
            assert connection.recv(100)
        assert wait_until(lambda: any(line.get("peer", "").startswith("CT") for line in lines(node.log)), 10)
    found = lines(node.log)
    assert {line["node"] for line in found} == {"a"}
    assert any(line["logger"].startswith("uvicorn") for line in found)
    assert any("association" in line for line in found)
    assert found[-1]["message"] == "orthanc-cluster node a has stopped"


def test_a_process_that_may_not_start(tmp_path, database_uri, storage_directory):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        cluster = {"LogFormat": "json"}
        process = RoleProcess(
            "housekeeping", "h", tmp_path, database_uri, storage_directory, cluster=cluster, HttpPort=port
        )
        with process:
            assert wait_until(lambda: not process.process.running, 60)
    assert process.process.returncode == 2
    assert lines(process.log)[-1]["level"] == "critical"
    assert "HttpPort" in messages(process.log)[-1]


def test_a_worker(tmp_path, database_uri, storage_directory, redis):
    # Given one whose pool loses a process in its first chunk
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "a.dcm").write_bytes(make_file())
    database = Database(settings_for(database_uri, storage_directory).postgresql)
    database.open()
    job_id = uuid.uuid4()
    ledger = Ledger(database)
    ledger.create_job(job_id, [folder])
    for number, chunk in enumerate(cut(walk([folder]))):
        ledger.add_chunk(job_id, number, chunk)
    database.close()
    cluster = {"LogFormat": "json", "RedisUrl": redis.url, "Failpoints": {"bytes_durable": "kill"}}
    worker = RoleProcess(
        "worker", "w", tmp_path, database_uri, storage_directory, cluster=cluster, arguments=["--processes", "1"]
    )
    with worker:
        assert wait_until(
            lambda: any("signal 9 (SIGKILL)" in it.get("traceback", "") for it in lines_so_far(worker)), 90
        )
        worker.process.terminate(20)
    found = lines(worker.log)
    assert any(line["logger"].startswith("celery") for line in found)
    assert any("the worker stops" in line["message"] for line in found)


def lines_so_far(process):
    return lines(process.log) if process.log.exists() and process.log.read_text("utf-8") else []
