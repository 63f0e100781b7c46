"""A cluster for one test: database, broker and storage area, workers as real processes, the import command."""

import contextlib
import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest
import redis as redis_client
from rich.console import Console

from cluster.bulk.ledger import Ledger, Pace
from cluster.config import Settings
from cluster.database import Database
from tests.support.settings import settings_for
from workers.import_command import import_files
from workers.local.redis_server import LocalRedis

ROOT = Path(__file__).parents[3]
HURRY = Pace(lease_seconds=3, resend_seconds=1, sweep_seconds=1, chunks_in_flight=4)


@dataclass
class Import:
    """What one run of the command left behind."""

    status: int
    text: str
    report: list[dict[str, Any]]


@dataclass
class BulkCluster:
    database_uri: str
    redis_url: str
    storage: Path
    folder: Path
    pace: Pace = HURRY
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def settings(self) -> Settings:
        return settings_for(self.database_uri, self.storage, cluster={"RedisUrl": self.redis_url})

    def start_worker(self, processes: int = 2, **cluster: Any) -> subprocess.Popen[bytes]:
        options = {
            "database": self.database_uri,
            "storage": str(self.storage),
            "cluster": {"RedisUrl": self.redis_url, "NodeName": "worker-under-test"} | cluster,
            "processes": processes,
            "pace": asdict(self.pace),
        }
        command = [sys.executable, "-m", "tests.integration.bulk.worker_main", json.dumps(options)]
        with (self.folder / "worker.log").open("ab") as log:
            worker = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log, start_new_session=True)
        self.workers.append(worker)
        return worker

    def run(self, *paths: Path, **options: Any) -> Import:
        report = self.folder / f"report-{uuid.uuid4()}.jsonl"
        output = io.StringIO()
        status = import_files(
            options.pop("settings", self.settings),
            paths,
            **{"report": report, "pace": self.pace, "console": Console(file=output, width=200)} | options,
        )
        lines = report.read_text("utf-8").splitlines() if report.exists() else []
        return Import(status, output.getvalue(), [json.loads(line) for line in lines])

    def run_aside(self, *paths: Path, **options: Any) -> "Aside":
        return Aside(lambda: self.run(*paths, **options))

    def query(self, statement: str, *values: Any) -> list[Any]:
        with psycopg.connect(self.database_uri, autocommit=True) as connection:
            return connection.execute(statement, values).fetchall()

    def counts(self, job_id: UUID) -> tuple[int, int, int, int]:
        (row,) = self.query(
            "SELECT sum(stored), sum(already_stored), sum(not_dicom), sum(failed)"
            " FROM cluster.import_chunks WHERE job_id = %s",
            job_id,
        )
        return tuple(map(int, row))

    def instances(self) -> list[str]:
        return [row[0] for row in self.query("SELECT publicId FROM Resources WHERE resourceType = 3 ORDER BY 1")]

    def attachments(self) -> list[str]:
        return [row[0] for row in self.query("SELECT uuid FROM AttachedFiles ORDER BY 1")]

    def stored_files(self) -> list[str]:
        return sorted(path.name for path in self.storage.rglob("*") if path.is_file())

    def messages(self) -> int:
        client = redis_client.Redis.from_url(self.redis_url.replace("redis+socket://", "unix://"))
        with client:
            return int(client.llen("orthanc-cluster"))

    def log(self) -> str:
        log = self.folder / "worker.log"
        return log.read_text("utf-8", "replace") if log.exists() else ""

    def kill_workers(self) -> None:
        while self.workers:
            worker = self.workers.pop()
            with contextlib.suppress(ProcessLookupError):
                os.killpg(worker.pid, signal.SIGKILL)
            worker.wait()


class Aside:
    """The command in a thread, while the test does something to the cluster."""

    def __init__(self, run: Callable[[], Import]) -> None:
        self._result: list[Import] = []
        self._thread = threading.Thread(target=lambda: self._result.append(run()), daemon=True)
        self._thread.start()

    def result(self, seconds: float = 60) -> Import:
        self._thread.join(seconds)
        assert not self._thread.is_alive(), "the import command has not ended"
        return self._result[0]


def wait_until(condition: Callable[[], Any], seconds: float = 30) -> Any:
    """Poll until the condition is true, and return what it said."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)
    return value


@pytest.fixture
def cluster(
    database_uri: str, redis: LocalRedis, storage_directory: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[BulkCluster]:
    with redis_client.Redis.from_url(redis.client_url) as client:
        client.flushall()
    cluster = BulkCluster(database_uri, redis.url, storage_directory, tmp_path_factory.mktemp("bulk"))
    yield cluster
    cluster.kill_workers()
    print(cluster.log())  # pytest shows it for a test that failed


@pytest.fixture
def ledger(database_uri: str) -> Iterator[Ledger]:
    database = Database(settings_for(database_uri).postgresql)
    database.open()
    yield Ledger(database, HURRY)
    database.close()
