"""Jobs in tests: what a worker process does, done here and now, and worker processes of their own."""

import contextlib
import io
import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psycopg

from cluster.bulk.ledger import Pace
from cluster.config import Settings
from cluster.jobs.work import JobPace
from workers.tasks.chunks import ChunkWorker
from workers.tasks.jobs import JobWorker

ROOT = Path(__file__).parents[2]
HURRY = Pace(lease_seconds=3, resend_seconds=1, sweep_seconds=0.5, chunks_in_flight=4)
JOBS_HURRY = JobPace(lease_seconds=2, keep_seconds=0.05, retry_seconds=0.2)


@contextlib.contextmanager
def job_worker(settings: Settings, pace: JobPace = JOBS_HURRY) -> Iterator[JobWorker]:
    """What a worker process works with, without Celery: `work()` does one job."""
    process = ChunkWorker(settings, HURRY)
    try:
        yield JobWorker(settings, process.open, pace)
    finally:
        process.close()


@dataclass
class WorkerProcesses:
    """Celery workers, each in a process group of its own."""

    settings: Settings
    folder: Path
    pace: JobPace = JOBS_HURRY
    running: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start(self, processes: int = 1, **cluster: Any) -> subprocess.Popen[bytes]:
        options = {
            "database": self.settings.postgresql.conninfo(),
            "storage": str(self.settings.storage_directory),
            "cluster": {
                "RedisUrl": self.settings.cluster.redis_url.get_secret_value(),
                "NodeName": f"worker-{len(self.running)}",
            }
            | cluster,
            "processes": processes,
            "pace": asdict(HURRY),
            "job_pace": asdict(self.pace),
            "options": {
                "JobsHistorySize": self.settings.jobs_history_size,
                "MediaArchiveSize": self.settings.media_archive_size,
            },
        }
        command = [sys.executable, "-m", "tests.integration.bulk.worker_main", json.dumps(options)]
        with (self.folder / "worker.log").open("ab") as log:
            worker = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log, start_new_session=True)
        self.running.append(worker)
        return worker

    def log(self) -> str:
        log = self.folder / "worker.log"
        return log.read_text("utf-8", "replace") if log.exists() else ""

    def kill(self) -> None:
        while self.running:
            worker = self.running.pop()
            with contextlib.suppress(ProcessLookupError):
                os.killpg(worker.pid, signal.SIGKILL)
            worker.wait()


def submitted(client: httpx.Client, path: str, **fields: Any) -> str:
    """The id of a new asynchronous job."""
    answer = client.post(path, json={"Asynchronous": True, **fields})
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert body["Path"] == f"/jobs/{body['ID']}"
    return str(body["ID"])


def wait_for(condition: Callable[[], Any], seconds: float = 60) -> Any:
    """Poll until the condition is true, and return what it said."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)
    return value


def ended(client: httpx.Client, job_id: str, seconds: float = 60) -> dict[str, Any]:
    """The job as soon as it is finished."""

    def look() -> dict[str, Any] | None:
        job: dict[str, Any] = client.get(f"/jobs/{job_id}").json()
        return job if job["State"] in ("Success", "Failure") else None

    found: dict[str, Any] = wait_for(look, seconds)
    return found


def counted(client: httpx.Client) -> dict[str, int]:
    """What the metrics say of jobs: pending, running, completed, success, failed; as ``/jobs`` says."""
    lines = [line.split(" ") for line in client.get("/tools/metrics-prometheus").text.splitlines()]
    metrics = {name.removeprefix("orthanc_jobs_"): int(value) for name, value, _ in lines if "orthanc_jobs_" in name}
    states = Counter(job["State"] for job in client.get("/jobs?expand").json())
    success, failed = states["Success"], states["Failure"]
    expected = {
        "pending": states["Pending"] + states["Retry"],
        "running": states["Running"] + states["Paused"],
        "completed": success + failed,
        "success": success,
        "failed": failed,
    }
    assert metrics == expected | {f"total_{name}": expected[name] for name in ("completed", "success", "failed")}
    return expected


def unzipped(content: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}


def make_endless(database_uri: str, storage: Path, instance_id: str) -> Callable[[], None]:
    """Let the file of an instance be of 64 GB, which takes minutes to pack; returns what takes that back."""
    with psycopg.connect(database_uri, autocommit=True) as connection:
        ((attachment, size),) = connection.execute(
            "SELECT a.uuid, a.uncompressedSize FROM AttachedFiles a JOIN Resources r ON r.internalId = a.id"
            " WHERE r.publicId = %s",
            (instance_id,),
        ).fetchall()
    (path,) = storage.rglob(attachment)

    def resize(to: int) -> None:
        os.truncate(path, to)  # sparse
        with psycopg.connect(database_uri, autocommit=True) as connection:
            connection.execute(
                "UPDATE AttachedFiles SET compressedSize = %(size)s, uncompressedSize = %(size)s WHERE uuid = %(uuid)s",
                {"size": to, "uuid": attachment},
            )

    resize(64 << 30)
    return lambda: resize(size)
