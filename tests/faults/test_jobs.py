"""Workers die at each step of a job, the broker forgets or goes away: the job gets done, its result is there once."""

import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
import redis as redis_client

from cluster import failpoints
from tests.integration.http.conftest import Door, OpenDoor, open_door  # noqa: F401 - the fixture
from tests.support.dicom import make_file
from tests.support.jobs import (
    JOBS_HURRY,
    ROOT,
    WorkerProcesses,
    ended,
    job_worker,
    make_endless,
    submitted,
    unzipped,
    wait_for,
)
from workers.local.redis_server import LocalRedis

DO_ONE_JOB = (
    "import sys; from pathlib import Path; from tests.support.jobs import job_worker;"
    "from tests.support.settings import settings_for;"
    "settings = settings_for(sys.argv[1], Path(sys.argv[2]), cluster={'Failpoints': {sys.argv[3]: sys.argv[4]}});\n"
    "with job_worker(settings) as worker: worker.work()"
)


@pytest.fixture
def index() -> str:
    """Jobs are done by workers, which are other processes; the folder's own fixture of this name is of upgrades."""
    return "postgresql"


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[LocalRedis]:
    with LocalRedis(tmp_path / "redis") as server:
        yield server


@pytest.fixture
def door(open_door: OpenDoor, own_redis: LocalRedis) -> Door:  # noqa: F811 - the fixture
    return open_door(Cluster={"NodeName": "node", "RedisUrl": own_redis.url}, MediaArchiveSize=5)


@pytest.fixture
def workers(door: Door, tmp_path: Path) -> Iterator[WorkerProcesses]:
    workers = WorkerProcesses(door.settings, tmp_path)
    yield workers
    workers.kill()
    print(workers.log())  # pytest shows it for a test that failed


@pytest.fixture
def files() -> list[bytes]:
    return [make_file(InstanceNumber=number) for number in range(6)]


@pytest.fixture
def stored(door: Door, files: list[bytes]) -> list[str]:
    """Ids of the instances, and of their study at the end."""
    answers = [door.post(file).json() for file in files]
    return [*(answer["ID"] for answer in answers), answers[0]["ParentStudy"]]


def outputs(door: Door) -> list[str]:
    return sorted(path.name for path in (door.storage_directory / "cluster-jobs").glob("*"))


@pytest.mark.parametrize("step", sorted(failpoints.JOBS))
def test_sigkill_at_each_step(door: Door, stored: list[str], files: list[bytes], step: str) -> None:
    job_id = submitted(door.client, f"/studies/{stored[-1]}/archive")
    at = "kill@4" if step == "job_file_added" else "kill"
    uri = door.settings.postgresql.conninfo()
    killed = subprocess.run([sys.executable, "-c", DO_ONE_JOB, uri, str(door.storage_directory), step, at], cwd=ROOT)
    assert killed.returncode == -9
    state = door.client.get(f"/jobs/{job_id}").json()["State"]
    assert state == ("Success" if step == "job_ended" else "Running")
    assert len(outputs(door)) == (0 if step == "job_claimed" else 1)

    with job_worker(door.settings) as worker:
        if step != "job_ended":
            assert not worker.work()  # somebody has it, for all that is known
            wait_for(worker.work)
        assert not worker.work()
        worker.tidy()
    job = ended(door.client, job_id)
    assert job["State"] == "Success"
    assert list(unzipped(door.client.get(f"/jobs/{job_id}/archive").content).values()) == files
    assert outputs(door) == [f"{job_id}-{1 if step == 'job_ended' else 2}"]


def test_a_worker_killed_in_the_middle_of_a_file(
    door: Door, workers: WorkerProcesses, stored: list[str], files: list[bytes]
) -> None:
    restore = make_endless(door.settings.postgresql.conninfo(), door.storage_directory, stored[0])
    workers.start()
    job_id = submitted(door.client, f"/studies/{stored[-1]}/archive")
    partial = door.storage_directory / "cluster-jobs" / f"{job_id}-1"
    wait_for(lambda: partial.exists() and partial.stat().st_size > 0)

    workers.kill()
    restore()
    workers.start()

    assert ended(door.client, job_id)["State"] == "Success"
    assert sorted(unzipped(door.client.get(f"/jobs/{job_id}/archive").content).values()) == sorted(files)
    wait_for(lambda: outputs(door) == [f"{job_id}-2"])


def test_stopping_what_runs(door: Door, workers: WorkerProcesses, stored: list[str]) -> None:
    make_endless(door.settings.postgresql.conninfo(), door.storage_directory, stored[0])
    workers.pace = replace(JOBS_HURRY, lease_seconds=60, keep_seconds=0.5)
    workers.start()
    job_id = submitted(door.client, f"/studies/{stored[-1]}/media")
    path = f"/jobs/{job_id}"
    for action, state in (("pause", "Paused"), ("resume", "Running"), ("cancel", "Failure"), ("resubmit", "Running")):
        if action in ("pause", "cancel"):
            wait_for(lambda: outputs(door))
        asked = time.monotonic()
        assert door.client.post(f"{path}/{action}").json() == {}
        wait_for(lambda state=state: door.client.get(path).json()["State"] == state)
        took = time.monotonic() - asked
        print(f"{action}: {took:.2f} s")
        assert took < 5  # half a second, and what a busy machine adds
        if state != "Running":
            wait_for(lambda: outputs(door) == [])
    assert door.client.post(f"{path}/cancel").json() == {}
    assert ended(door.client, job_id)["ErrorCode"] == 37


def test_a_broker_that_goes_away_and_one_that_forgets(
    door: Door, workers: WorkerProcesses, stored: list[str], own_redis: LocalRedis
) -> None:
    # Given jobs that are asked for while the broker is away
    own_redis.kill()
    asked = time.monotonic()
    ids = [submitted(door.client, f"/studies/{stored[-1]}/archive") for _ in range(2)]
    assert time.monotonic() - asked < 5
    assert {door.client.get(f"/jobs/{job_id}").json()["State"] for job_id in ids} == {"Pending"}

    # and one whose message the broker forgets
    own_redis.start()
    ids.append(submitted(door.client, f"/studies/{stored[-1]}/archive"))
    with redis_client.Redis.from_url(own_redis.client_url) as client:
        wait_for(lambda: client.llen("orthanc-cluster-jobs"))
        client.flushall()

    # When a worker starts, and loses its broker once more in the middle of a job
    restore = make_endless(door.settings.postgresql.conninfo(), door.storage_directory, stored[0])
    workers.start()
    wait_for(lambda: outputs(door))
    own_redis.kill()
    door.client.post(f"/jobs/{ids[0]}/pause")
    wait_for(lambda: door.client.get(f"/jobs/{ids[0]}").json()["State"] == "Paused")
    restore()
    door.client.post(f"/jobs/{ids[0]}/resume")
    own_redis.start()

    # Then all of them get done
    assert [ended(door.client, job_id)["State"] for job_id in ids] == ["Success"] * 3


def test_a_database_that_is_away_for_a_moment(door: Door, stored: list[str]) -> None:
    uri = door.settings.postgresql.conninfo()
    job_id = submitted(door.client, f"/studies/{stored[-1]}/archive")
    settings = door.settings.model_copy(
        update={"cluster": door.settings.cluster.model_copy(update={"failpoints": {"job_file_added": "error@2"}})}
    )
    with job_worker(settings) as worker:
        assert worker.work()
        job = door.client.get(f"/jobs/{job_id}").json()
        assert job["State"] == "Retry"
        assert "failpoint" in job["ErrorDetails"]
        assert door.client.post(f"/jobs/{job_id}/pause").json() == {}
        assert door.client.post(f"/jobs/{job_id}/resume").json() == {}
        assert worker.work()
        assert ended(door.client, job_id)["State"] == "Success"
    with psycopg.connect(uri) as connection:
        assert connection.execute("SELECT attempt FROM cluster.jobs").fetchall() == [(2,)]
