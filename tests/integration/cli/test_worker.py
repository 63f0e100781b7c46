"""The role `worker`: its probes, its metrics, its end; also as process 1."""

import json
import os
import signal
import time
import uuid

import httpx
import psycopg
import pytest

from cluster.bulk.files import cut, walk
from cluster.bulk.ledger import Ledger
from cluster.database import Database
from tests.support.backstage import ProcessOne, RoleProcess
from tests.support.dicom import make_file
from tests.support.settings import settings_for
from workers.local.children import wait_until

DATABASE_AWAY = "postgresql://orthanc@127.0.0.1:1/nowhere"


@pytest.fixture
def folder(tmp_path):
    """Sixty instances: two chunks."""
    folder = tmp_path / "in"
    folder.mkdir()
    for number in range(60):
        (folder / f"{number:03}.dcm").write_bytes(
            make_file(SOPInstanceUID=f"2.25.{number + 1}", PixelData=bytes(1 << 19))
        )
    return folder


@pytest.fixture
def start(tmp_path, database_uri, storage_directory, redis):
    def process(**options):
        cluster = {"RedisUrl": redis.url} | options.pop("cluster", {})
        uri = options.pop("database_uri", database_uri)
        return RoleProcess("worker", "worker-1", tmp_path, uri, storage_directory, cluster=cluster, **options)

    return process


def test_probes_and_metrics_and_nothing_else(start, folder, database_uri, storage_directory):
    _job(database_uri, storage_directory, folder)
    with start(arguments=["--processes", "1"]) as worker:
        worker.wait_ready()
        assert worker.get("/startupz").status_code == worker.get("/livez").status_code == 200
        assert worker.get("/system").status_code == worker.get("/instances").status_code == 404
        for method in ("POST", "PUT", "DELETE", "PATCH"):
            for path in ("/startupz", "/livez", "/readyz", "/metrics", "/instances", "/"):
                assert httpx.request(method, worker.url + path, content=b"1").status_code in (404, 405)
        done = 'orthanc_cluster_tasks_total{outcome="done",task="import_chunk"}'
        assert wait_until(lambda: worker.metric(done) == 2, 60)
        assert worker.metric('orthanc_cluster_task_seconds_count{task="import_chunk"}') == 2
        assert worker.metric('orthanc_cluster_import_files_total{outcome="stored"}') == 60
        assert wait_until(lambda: worker.metric('orthanc_cluster_import_chunks{state="active"}') == 0, 10)
        # The pool's processes say nothing about readiness, which the minimum of all would tell.
        assert worker.metric("orthanc_cluster_ready") == 1
        worker.process.terminate(20)
        assert worker.process.returncode == 0


def test_queue_depth(start, folder, database_uri, storage_directory):
    # Given chunks whose messages nobody gets, as the broker is away
    _job(database_uri, storage_directory, folder)
    with start(cluster={"RedisUrl": "redis://127.0.0.1:1/0"}) as worker:
        assert wait_until(lambda: worker.metric('orthanc_cluster_import_chunks{state="waiting"}') == 2, 60)
        # Then the worker is alive, not ready, and says why
        answer = worker.get("/readyz")
        assert (answer.status_code, worker.get("/livez").status_code) == (503, 200)
        assert "broker" in answer.json()["reason"]
        began = time.monotonic()
        worker.process.terminate(20)
        assert (worker.process.returncode, time.monotonic() - began < 15) == (0, True)


def test_waits_at_the_gate_and_can_be_stopped_there(start):
    with start(database_uri=DATABASE_AWAY) as worker:
        assert worker.get("/livez").status_code == 200
        assert worker.get("/startupz").status_code == 503
        assert wait_until(lambda: "connection" in worker.get("/readyz").json()["reason"], 10)
        worker.process.terminate(10)
        assert worker.process.returncode == 0


def test_a_chunk_that_takes_too_long_is_given_back(start, folder, database_uri, storage_directory):
    # Given a worker in the middle of a chunk that it will not finish in the time it has
    job = _job(database_uri, storage_directory, folder)
    with (
        psycopg.connect(database_uri, autocommit=True) as connection,
        start(cluster={"DrainSeconds": 0}, arguments=["--processes", "1"]) as worker,
    ):
        claims = "SELECT split_part(lease_holder, '/', 2)::int FROM cluster.import_chunks WHERE attempts > 0"
        assert wait_until(lambda: connection.execute(claims).fetchone() is not None, 60)
        pid = connection.execute(claims).fetchone()[0]
        os.kill(pid, signal.SIGSTOP)
        # When it is told to stop
        os.kill(worker.process.pid, signal.SIGTERM)
        assert wait_until(lambda: "is given back" in worker.log.read_text("utf-8"), 20)
        os.kill(pid, signal.SIGCONT)
        assert wait_until(lambda: not worker.process.running, 20)
        assert worker.process.returncode == 0
        # Then the chunk is anybody's at once, its run does not count, and no file of it is left
        rows = connection.execute("SELECT lease_holder, attempts, done_at FROM cluster.import_chunks ORDER BY chunk")
        assert rows.fetchall() == [(None, 0, None)] * 2
        assert not [path for path in storage_directory.rglob("*") if path.is_file()]
    # and another worker does it
    with start(arguments=["--processes", "1"]):
        done = "SELECT sum(stored), sum(already_stored) FROM cluster.import_chunks WHERE done_at IS NOT NULL"
        with psycopg.connect(database_uri, autocommit=True) as connection:
            assert wait_until(lambda: connection.execute(done).fetchone() == (60, 0), 60), job


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_as_process_1_at_the_gate(tmp_path, storage_directory, number):
    document = {"HttpServerEnabled": False, "StorageDirectory": str(storage_directory)}
    file = _configuration(tmp_path, DATABASE_AWAY, document)
    with ProcessOne(["worker", "--config", str(file)], tmp_path / "log") as process:
        assert wait_until(lambda: "not ready" in process.log.read_text(), 60)
        process.signal(number)
        assert process.wait(10) == 0


def _configuration(folder, database_uri, document):
    file = folder / "orthanc.json"
    postgresql = {"EnableIndex": True, "ConnectionUri": database_uri, "ConnectionRetryInterval": 1}
    file.write_text(json.dumps({"PostgreSQL": postgresql, **document}), "utf-8")
    return file


def _job(database_uri, storage_directory, folder):
    database = Database(settings_for(database_uri, storage_directory).postgresql)
    database.open()
    ledger = Ledger(database)
    job_id = uuid.uuid4()
    ledger.create_job(job_id, [folder])
    for number, chunk in enumerate(cut(walk([folder]))):
        ledger.add_chunk(job_id, number, chunk)
    ledger.end_walk(job_id)
    database.close()
    return job_id
