"""Imports on ``/jobs``: shown, paused, resumed, canceled and done again, while commands and workers go on."""

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest

from cluster.bulk.files import cut, walk
from cluster.bulk.ledger import Ledger
from tests.integration.bulk.conftest import HURRY, BulkCluster, wait_until
from tests.integration.http.conftest import Door, OpenDoor, open_door  # noqa: F401 - the fixture
from tests.support.dicom import make_file
from tests.support.indices import only_on_postgresql
from tests.support.jobs import counted
from workers.tasks.chunks import ChunkWorker

pytestmark = only_on_postgresql("bulk imports are done by several workers")


@pytest.fixture
def door(open_door: OpenDoor, cluster: BulkCluster) -> Door:  # noqa: F811 - the fixture
    return open_door(Cluster={"NodeName": "node", "RedisUrl": cluster.redis_url})


@pytest.fixture
def worker(door: Door) -> Iterator[ChunkWorker]:
    worker = ChunkWorker(door.settings, HURRY)
    yield worker
    worker.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """120 instances in three chunks; the last file is none."""
    folder = tmp_path / "in"
    folder.mkdir()
    for number in range(119):
        (folder / f"{number:03}.dcm").write_bytes(make_file(SOPInstanceUID=f"2.25.{number + 1}"))
    (folder / "119.dcm").write_bytes(make_file()[:300])
    return folder


@pytest.fixture
def job_id(ledger: Ledger, folder: Path) -> UUID:
    job_id = uuid.uuid4()
    ledger.create_job(job_id, [folder])
    for number, chunk in enumerate(cut(walk([folder]))):
        ledger.add_chunk(job_id, number, chunk)
    ledger.end_walk(job_id)
    return job_id


def shown(door: Door, job_id: UUID) -> dict[str, Any]:
    answer = door.client.get(f"/jobs/{job_id}")
    assert answer.status_code == 200
    job: dict[str, Any] = answer.json()
    return job


def act(door: Door, job_id: UUID, action: str) -> int:
    return door.client.post(f"/jobs/{job_id}/{action}").status_code


def test_the_life_of_an_import(
    door: Door, worker: ChunkWorker, ledger: Ledger, job_id: UUID, folder: Path, cluster: BulkCluster
) -> None:
    job = shown(door, job_id)
    assert (job["Type"], job["State"], job["Progress"], job["ErrorCode"]) == ("Import", "Pending", 0, 0)
    assert job["Content"]["Paths"] == [str(folder)]
    assert job["Content"]["FilesCount"] == 120
    assert door.client.get("/jobs").json() == [str(job_id)]
    assert counted(door.client)["pending"] == 1

    assert worker.work(job_id, 0) == "done"
    assert counted(door.client)["running"] == 1
    job = shown(door, job_id)
    assert (job["State"], job["Progress"]) == ("Running", 50 * 100 // 120)
    assert act(door, job_id, "resume") == act(door, job_id, "resubmit") == 404

    # paused: nothing is sent, and nothing is claimed
    assert act(door, job_id, "pause") == act(door, job_id, "pause") == 200
    assert shown(door, job_id)["State"] == "Paused"
    assert counted(door.client)["running"] == 1
    assert ledger.take_due() == []
    assert worker.work(job_id, 1) == "nothing_to_do"
    assert act(door, job_id, "resume") == 200
    assert ledger.take_due() == [(job_id, 1), (job_id, 2)]
    assert worker.work(job_id, 1) == "done"

    # canceled, and done again
    assert act(door, job_id, "cancel") == 200
    job = shown(door, job_id)
    assert (job["State"], job["ErrorCode"]) == ("Failure", 37)
    assert "CompletionTime" in job
    assert counted(door.client)["failed"] == 1
    assert worker.work(job_id, 2) == "nothing_to_do"
    assert act(door, job_id, "resume") == 404
    assert act(door, job_id, "resubmit") == 200
    assert worker.work(job_id, 2) == "done"

    # a file that could not be taken in is a failure, which may be tried again
    job = shown(door, job_id)
    assert (job["State"], job["ErrorCode"], job["Progress"]) == ("Failure", -1, 100)
    assert "1 of 120 files" in job["ErrorDetails"]
    assert counted(door.client)["failed"] == 1
    (folder / "119.dcm").write_bytes(make_file(SOPInstanceUID="2.25.120"))
    assert act(door, job_id, "resubmit") == 200
    assert ledger.take_due() == [(job_id, 2)]
    assert worker.work(job_id, 2) == "done"
    job = shown(door, job_id)
    assert (job["State"], job["ErrorCode"]) == ("Success", 0)
    assert (job["Content"]["StoredCount"], job["Content"]["AlreadyStoredCount"]) == (101, 19)
    assert len(cluster.instances()) == 120
    assert act(door, job_id, "cancel") == 200
    assert shown(door, job_id)["State"] == "Success"
    assert counted(door.client)["success"] == 1
    (expanded,) = door.client.get("/jobs?expand").json()
    assert expanded["State"] == "Success"

    assert door.client.delete(f"/jobs/{job_id}").status_code == 200
    assert door.client.get("/jobs").json() == []
    assert counted(door.client)["completed"] == 0
    assert door.client.get(f"/jobs/{job_id}").status_code == 404
    assert ledger.job(job_id) is not None  # its report can still be had


@pytest.mark.parametrize("action", ["pause", "cancel"])
def test_a_chunk_in_hand_is_taken_back(door: Door, ledger: Ledger, job_id: UUID, action: str) -> None:
    ledger.take_due()
    assert ledger.claim(job_id, 0, "holder")
    assert ledger.renew(job_id, 0, "holder")
    assert door.client.delete(f"/jobs/{job_id}").status_code == 404  # not finished
    assert act(door, job_id, action) == 200
    assert not ledger.renew(job_id, 0, "holder")
    assert ledger.claim(job_id, 0, "other") is None


def test_the_command_ends_when_somebody_cancels(cluster: BulkCluster, folder: Path, door: Door) -> None:
    running = cluster.run_aside(folder)  # and no worker
    wait_until(lambda: cluster.query("SELECT 1 FROM cluster.import_jobs WHERE walked_at IS NOT NULL"))
    ((job_id,),) = cluster.query("SELECT job_id FROM cluster.import_jobs")
    assert act(door, job_id, "cancel") == 200
    done = running.result()
    assert done.status == 1
    assert f"POST /jobs/{job_id}/resubmit" in done.text


def test_workers_go_on_with_what_is_resumed(cluster: BulkCluster, job_id: UUID, door: Door) -> None:
    assert act(door, job_id, "pause") == 200
    cluster.start_worker(processes=1)
    archive = wait_until(lambda: archived(door))  # the worker is up, and does other things meanwhile
    assert archive["State"] == "Success"
    assert cluster.instances() == []
    assert act(door, job_id, "resume") == 200
    wait_until(lambda: shown(door, job_id)["Progress"] == 100)
    assert len(cluster.instances()) == 119


def archived(door: Door) -> dict[str, Any] | None:
    """An empty archive, once it is made."""
    answer: httpx.Response = door.client.get("/jobs?expand")
    archives = [job for job in answer.json() if job["Type"] == "Archive"]
    if not archives:
        door.client.post("/tools/create-archive", json={"Resources": [], "Asynchronous": True})
        return None
    job: dict[str, Any] = archives[0]
    return job if job["State"] == "Success" else None


def test_the_history_is_bounded(open_door: OpenDoor, ledger: Ledger) -> None:  # noqa: F811 - the fixture
    door = open_door(JobsHistorySize=2)
    ids = [uuid.uuid4() for _ in range(5)]
    for job_id in ids:
        ledger.create_job(job_id, [])
    for job_id in ids[1:]:
        ledger.end_walk(job_id)
    assert door.client.get("/jobs").json() == [str(job_id) for job_id in (ids[0], *ids[3:])]
