"""``/jobs``, against interop/rest.md 10; the work is done here and now, without a broker."""

import io
import subprocess
import uuid
import zipfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pydicom
import pyorthanc
import pytest
from orthanc_api_client import JobStatus, JobType, OrthancApiClient

from cluster.jobs.work import Ending, LeaseLost, Work
from tests.integration.http.conftest import Door, OpenDoor
from tests.support.dicom import make_file
from tests.support.indices import LONG_AGO, connect
from tests.support.jobs import JOBS_HURRY, counted, job_worker, submitted, unzipped
from workers.tasks.jobs import JobWorker

INJECTIONS = ("' OR '1'='1", "'; DROP TABLE cluster.jobs; --", "%(job_id)s", "{id}", "%s", "archive'--")


@pytest.fixture
def door(open_door: OpenDoor) -> Door:
    return open_door(MediaArchiveSize=3)


@pytest.fixture
def worker(door: Door) -> Iterator[JobWorker]:
    with job_worker(door.settings) as worker:
        yield worker


@pytest.fixture
def files() -> list[bytes]:
    return [
        make_file(PatientName="Müller^Jörg", SpecificCharacterSet="ISO_IR 192", InstanceNumber=number)
        for number in (1, 2, 3)
    ]


@pytest.fixture
def study(door: Door, files: list[bytes]) -> str:
    """Path of the study of three instances."""
    answers = [door.post(file).json() for file in files]
    return f"/studies/{answers[0]['ParentStudy']}"


def shown(door: Door, job_id: str) -> dict[str, Any]:
    job: dict[str, Any] = door.client.get(f"/jobs/{job_id}").json()
    return job


def end_leases(door: Door, index: str) -> None:
    with connect(door.index_uri) as connection:
        connection.execute("UPDATE cluster.jobs SET lease_until = %s", (LONG_AGO[index],))


def outputs(door: Door) -> list[str]:
    return sorted(path.name for path in door.files() if path.parent.name == "cluster-jobs")


def test_an_archive_that_is_fetched_later(door: Door, worker: JobWorker, study: str, files: list[bytes]) -> None:
    assert door.client.get("/jobs").json() == []
    begun = datetime.now(UTC)
    job_id = submitted(
        door.client, f"{study}/archive", Priority=7, Filename='x"\r\n.zip', UserData={"for": ["ü", "\0", None]}
    )

    job = shown(door, job_id)
    assert job.items() >= {"ID": job_id, "Type": "Archive", "State": "Pending", "Priority": 7, "Progress": 0}.items()
    assert job.items() >= {"ErrorCode": 0, "ErrorDescription": "Success", "ErrorDetails": ""}.items()
    assert job["UserData"] == {"for": ["ü", "\0", None]}
    assert job["EffectiveRuntime"] == 0
    assert job["Content"]["InstancesCount"] == 3
    assert job["Content"]["UncompressedSize"] == str(sum(map(len, files)))
    assert "CompletionTime" not in job
    assert door.client.get(f"/jobs/{job_id}/archive").json()["OrthancStatus"] == 7

    assert worker.work()
    job = shown(door, job_id)
    assert (job["State"], job["Progress"], job["ErrorCode"]) == ("Success", 100, 0)
    times = [
        datetime.strptime(job[name], "%Y%m%dT%H%M%S.%f") for name in ("CreationTime", "CompletionTime", "Timestamp")
    ]
    assert times == sorted(times)
    assert abs(times[0].replace(tzinfo=UTC) - begun) < timedelta(minutes=1)
    assert job["EffectiveRuntime"] > 0

    answer = door.client.get(f"/jobs/{job_id}/archive")
    assert answer.headers["content-type"] == "application/zip"
    assert answer.headers["content-disposition"] == 'attachment; filename="x___.zip"'
    assert list(unzipped(answer.content).values()) == files
    assert job["Content"]["ArchiveSize"] == answer.headers["content-length"] == str(len(answer.content))
    assert list(unzipped(answer.content)) == list(unzipped(door.client.get(f"{study}/archive").content))
    assert door.client.get("/jobs").json() == [job_id]
    (expanded,) = door.client.get("/jobs?expand").json()
    assert expanded.items() >= {"ID": job_id, "State": "Success"}.items()
    assert not worker.work()


def test_ranges_of_an_output(door: Door, worker: JobWorker, study: str) -> None:
    job_id = submitted(door.client, f"{study}/archive")
    worker.work()
    path = f"/jobs/{job_id}/archive"
    whole = door.client.get(path).content
    for text, expected in (("bytes=0-9", whole[:10]), ("bytes=10-", whole[10:]), ("bytes=-5", whole[-5:])):
        answer = door.client.get(path, headers={"Range": text})
        assert (answer.status_code, answer.content) == (206, expected)
        assert answer.headers["content-range"].endswith(f"/{len(whole)}")
    assert door.client.get(path, headers={"Range": f"bytes={len(whole)}-"}).status_code == 416


def test_who_waits_gets_it_at_once(door: Door, study: str) -> None:
    for fields in ({}, {"Synchronous": True, "Priority": -3}, {"Asynchronous": False, "UserData": 1}):
        answer = door.client.post(f"{study}/archive", json=fields)
        assert answer.headers["content-type"] == "application/zip"
    both = door.client.post(f"{study}/archive", json={"Synchronous": True, "Asynchronous": True})
    assert both.headers["content-type"] == "application/zip"
    assert len(door.client.get("/jobs").json()) == 0
    submitted(door.client, "/tools/create-archive", Resources=[study.rpartition("/")[2]])
    assert "ID" in door.client.post(f"{study}/media", json={"Synchronous": False}).json()
    assert len(door.client.get("/jobs").json()) == 2


@pytest.mark.parametrize("extended", [False, True])
def test_a_medium(
    door: Door, worker: JobWorker, study: str, files: list[bytes], tmp_path: Path, dcmtk: Callable[[str], Path],
    extended: bool,
) -> None:  # fmt: skip
    other = door.post(make_file(PatientID="P2", StudyDate=None, SeriesNumber=None, InstanceNumber=None)).json()
    ids = [study.rpartition("/")[2], other["ParentPatient"]]
    kind = "create-media-extended" if extended else "create-media"
    job_id = submitted(door.client, f"/tools/{kind}", Resources=ids)
    worker.work()
    later = door.client.get(f"/jobs/{job_id}/archive").content
    at_once = door.client.post(f"/tools/{kind}", json=ids).content
    by_query = door.client.get(f"/tools/{kind}", params={"resources": ",".join(ids)}).content

    for content in (later, at_once, by_query):
        assert list(unzipped(content)) == [f"IMAGES/IM{number}" for number in range(4)] + ["DICOMDIR"]
        assert list(unzipped(content).values())[:3] == files
    with zipfile.ZipFile(io.BytesIO(later)) as archive:
        archive.extractall(tmp_path)
    dump = subprocess.run([dcmtk("dcmdump"), tmp_path / "DICOMDIR"], capture_output=True, text=True, check=True)
    assert "W:" not in dump.stderr
    assert "E:" not in dump.stderr
    file_set = pydicom.fileset.FileSet(tmp_path / "DICOMDIR")
    assert sorted(instance.SOPInstanceUID for instance in file_set) == sorted(
        pydicom.dcmread(io.BytesIO(file)).SOPInstanceUID for file in [*files, other_file(door, other)]
    )
    assert sorted(file_set.find_values("PatientID")) == ["P1", "P2"]
    assert "Müller^Jörg" in list(map(str, file_set.find_values("PatientName")))
    file_set._stage["t"].cleanup()  # pydicom leaves that to the garbage collector
    assert ("Image Type" in dump.stdout or "Rows" in dump.stdout) == extended


def other_file(door: Door, stored: dict[str, Any]) -> bytes:
    return bytes(door.client.get(f"/instances/{stored['ID']}/file").content)


def test_a_medium_of_one_resource(door: Door, study: str) -> None:
    for path in (f"{study}/media", f"{study}/media?extended"):
        assert "DICOMDIR" in unzipped(door.client.get(path).content)
    assert "DICOMDIR" in unzipped(door.client.post(f"{study}/media", json={"Extended": True}).content)
    assert list(unzipped(door.client.post("/tools/create-media", json=[]).content)) == ["DICOMDIR"]


def test_the_highest_priority_goes_first(door: Door, worker: JobWorker, study: str) -> None:
    ids = [submitted(door.client, f"{study}/archive", Priority=priority) for priority in (0, -5, 9, 9)]
    done = []
    while worker.work():
        done += [ids.index(job_id) for job_id in ids if shown(door, job_id)["State"] == "Success"]
    assert list(dict.fromkeys(done)) == [2, 3, 0, 1]


def test_jobs_that_wait(door: Door, worker: JobWorker, study: str) -> None:
    def act(action: str) -> tuple[int, str]:
        answer = door.client.post(f"/jobs/{job_id}/{action}")
        return answer.status_code, answer.text.strip()

    job_id = submitted(door.client, f"{study}/archive")
    assert act("resume") == act("resubmit") == (404, "")
    assert act("pause") == (200, "{}")
    assert shown(door, job_id)["State"] == "Paused"
    assert act("pause") == (200, "{}")
    assert not worker.work()
    assert act("resubmit") == (404, "")
    assert act("resume") == (200, "{}")
    assert shown(door, job_id)["State"] == "Pending"
    assert act("cancel") == (200, "{}")
    job = shown(door, job_id)
    assert (job["State"], job["ErrorCode"], job["ErrorDescription"]) == ("Failure", 37, "This job was canceled")
    assert "CompletionTime" in job
    assert not worker.work()
    assert act("cancel") == act("pause") == (200, "{}")
    assert act("resume") == (404, "")
    assert shown(door, job_id)["State"] == "Failure"
    assert act("resubmit") == (200, "{}")
    assert worker.work()
    assert shown(door, job_id)["State"] == "Success"
    assert act("resubmit") == (404, "")
    assert act("cancel") == (200, "{}")
    assert shown(door, job_id)["State"] == "Success"


def test_a_failure_can_be_done_again(door: Door, worker: JobWorker, study: str) -> None:
    lost = [path for path in door.files() if path.parent.name != "cluster-jobs"]
    bytes_of = {path: path.read_bytes() for path in lost}
    for path in lost:
        path.unlink()
    job_id = submitted(door.client, f"{study}/archive")
    worker.work()
    job = shown(door, job_id)
    assert (job["State"], job["ErrorCode"], job["Progress"]) == ("Failure", 17, 0)
    assert "is not in the storage area" in job["ErrorDetails"]
    assert outputs(door) == []

    for path, content in bytes_of.items():
        path.write_bytes(content)
    assert door.client.post(f"/jobs/{job_id}/resubmit").json() == {}
    assert shown(door, job_id)["ErrorCode"] == 0
    worker.work()
    assert shown(door, job_id)["State"] == "Success"
    assert len(unzipped(door.client.get(f"/jobs/{job_id}/archive").content)) == 3


def test_what_was_deleted_meanwhile_fails_the_job(door: Door, worker: JobWorker, study: str) -> None:
    job_id = submitted(door.client, f"{study}/archive")
    assert door.client.delete(study).status_code == 200
    worker.work()
    assert (shown(door, job_id)["State"], shown(door, job_id)["ErrorCode"]) == ("Failure", 17)


def test_outputs_are_let_go(door: Door, worker: JobWorker, study: str) -> None:
    first, second = (submitted(door.client, f"{study}/archive") for _ in range(2))
    assert door.client.delete(f"/jobs/{first}").status_code == 404  # not finished
    worker.work()
    worker.work()
    assert len(outputs(door)) == 2
    assert door.client.delete(f"/jobs/{first}/archive").text == ""
    assert [name.startswith(second) for name in outputs(door)] == [True]
    assert door.client.get(f"/jobs/{first}/archive").status_code == 404
    assert door.client.delete(f"/jobs/{first}/archive").status_code == 404
    assert shown(door, first)["State"] == "Success"
    assert door.client.delete(f"/jobs/{second}").text == ""
    assert outputs(door) == []
    assert door.client.get("/jobs").json() == [first]
    assert door.client.get(f"/jobs/{second}").status_code == 404
    assert door.client.delete(f"/jobs/{second}").status_code == 404


def test_the_history_is_bounded(open_door: OpenDoor) -> None:
    door = open_door(JobsHistorySize=3, MediaArchiveSize=2)
    series = door.post(make_file()).json()["ParentSeries"]
    ids = [submitted(door.client, f"/series/{series}/archive") for _ in range(5)]
    with job_worker(door.settings) as worker:
        for job_id in ids[:4]:
            worker.work()
            worker.tidy()
            if job_id == ids[2]:
                # an output that was used lately outlives a newer one
                assert door.client.get(f"/jobs/{ids[1]}/archive").status_code == 200
    assert door.client.get("/jobs").json() == ids[1:]  # the fifth waits and does not count
    assert [name[:36] for name in outputs(door)] == sorted([ids[1], ids[3]])


def test_files_that_no_job_has_are_removed(door: Door, worker: JobWorker, study: str) -> None:
    job_id = submitted(door.client, f"{study}/archive")
    worker.work()
    folder = door.storage_directory / "cluster-jobs"
    kept = outputs(door)
    for name in (f"{uuid.uuid4()}-1", f"{job_id}-7"):
        (folder / name).write_bytes(b"of an attempt that was lost")
    (folder / "somebody else's").write_bytes(b"")
    worker.tidy()
    assert outputs(door) == sorted([*kept, "somebody else's"])


def test_only_the_last_attempt_counts(door: Door, study: str, index: str) -> None:
    job_id = submitted(door.client, f"{study}/archive")
    work = Work(door.intake.database, JOBS_HURRY)
    first = work.claim("first")
    assert first is not None
    assert work.claim("second") is None
    assert work.claim("first") is not None  # whose answer was lost
    end_leases(door, index)
    second = work.claim("second")
    assert second is not None
    assert (str(second.job_id), second.attempt) == (job_id, 3)
    for late in (lambda: work.keep(first, 50), lambda: work.end(first, Ending("Success", output=first.output))):
        with pytest.raises(LeaseLost):
            late()
    assert work.keep(second, 40) is None
    job = shown(door, job_id)
    assert (job["State"], job["Progress"]) == ("Running", 40)
    assert job["EstimatedTimeOfArrival"] > job["Timestamp"]
    work.end(second, Ending("Failure", 2, "a\0b"))
    work.end(second, Ending("Failure", 2, "a\0b"))  # whose answer was lost
    assert shown(door, job_id)["ErrorDetails"] == "ab"


def test_a_job_that_kills_its_workers_is_given_up(door: Door, study: str, index: str) -> None:
    job_id = submitted(door.client, f"{study}/archive")
    work = Work(door.intake.database, JOBS_HURRY)
    for number in range(JOBS_HURRY.maximum_tries):
        assert work.claim(str(number)) is not None
        end_leases(door, index)
    assert work.claim("one more") is None
    job = shown(door, job_id)
    assert (job["State"], job["ErrorCode"]) == ("Failure", -1)
    assert "given up: 5 workers" in job["ErrorDetails"]


@pytest.mark.parametrize(("action", "state", "code"), [("cancel", "Failure", 37), ("pause", "Paused", 0)])
def test_stopping_a_job_whose_worker_is_gone(
    door: Door, study: str, index: str, action: str, state: str, code: int
) -> None:
    job_id = submitted(door.client, f"{study}/archive")
    work = Work(door.intake.database, JOBS_HURRY)
    work.claim("lost")
    door.client.post(f"/jobs/{job_id}/{action}")
    assert shown(door, job_id)["State"] == "Running"
    end_leases(door, index)
    assert work.due() == 0
    assert (shown(door, job_id)["State"], shown(door, job_id)["ErrorCode"]) == (state, code)


def test_jobs_of_a_type_that_this_version_does_not_know(door: Door, worker: JobWorker, study: str) -> None:
    job_id = submitted(door.client, f"{study}/archive")
    with connect(door.index_uri) as connection:
        connection.execute("UPDATE cluster.jobs SET type = 'ResourceModification'")
    worker.work()
    assert (shown(door, job_id)["State"], shown(door, job_id)["ErrorCode"]) == ("Failure", 2)


def test_unknown_jobs(door: Door, worker: JobWorker, study: str) -> None:
    known = submitted(door.client, f"{study}/archive")
    worker.work()
    bad_ids = ("nobody", str(uuid.uuid4()), known.upper(), f"{{{known}}}", known.replace("-", ""), "%00", "a" * 5000)
    for job_id in (*bad_ids, *INJECTIONS):
        answer = door.client.get(f"/jobs/{job_id}")
        assert (answer.status_code, answer.content) == (404, b"")
        for action in ("cancel", "pause", "resume", "resubmit"):
            assert door.client.post(f"/jobs/{job_id}/{action}").status_code == 404
        assert door.client.delete(f"/jobs/{job_id}").status_code == 404
        assert door.client.get(f"/jobs/{job_id}/archive").status_code == 404
        assert door.client.delete(f"/jobs/{job_id}/archive").status_code == 404
    for key in ("content", "Archive", "..%2f", "%00", *INJECTIONS):
        assert door.client.get(f"/jobs/{known}/{key}").status_code == 404
        assert door.client.delete(f"/jobs/{known}/{key}").status_code == 404
    assert door.client.put(f"/jobs/{known}").status_code == 405
    assert door.client.get(f"/jobs/{known}/archive").status_code == 200


def test_jobs_that_nobody_can_do(door: Door, study: str) -> None:
    for path, body, status in (
        ("/tools/create-archive", {"Asynchronous": True, "Resources": ["nobody"]}, 404),
        ("/tools/create-media", {"Asynchronous": True, "Resources": INJECTIONS}, 404),
        ("/tools/create-archive", {"Asynchronous": True}, 400),
        ("/studies/nobody/archive", {"Asynchronous": True}, 404),
        (f"{study}/archive", {"Asynchronous": "true"}, 400),
        (f"{study}/archive", {"Asynchronous": True, "Priority": 1e300}, 400),
    ):
        assert door.client.post(path, json=body).status_code == status
    assert door.client.get("/jobs").json() == []
    long_name = submitted(door.client, f"{study}/archive", Filename="ü" * 100_000)
    assert shown(door, long_name)["State"] == "Pending"


def test_a_node_that_is_not_ready(door: Door) -> None:
    door.reason = "waiting for the database"
    for method, path in (
        ("GET", "/jobs"),
        ("GET", "/jobs/x"),
        ("GET", "/jobs/x/archive"),
        ("DELETE", "/jobs/x"),
        ("POST", "/jobs/x/cancel"),
    ):
        assert door.client.request(method, path).status_code == 503


def test_jobs_are_counted_as_orthanc_counts_them(door: Door, worker: JobWorker, study: str) -> None:
    nothing = {"pending": 0, "running": 0, "completed": 0, "success": 0, "failed": 0}
    assert counted(door.client) == nothing
    work = Work(door.intake.database, JOBS_HURRY)
    job_id = submitted(door.client, f"{study}/archive")
    assert counted(door.client) == nothing | {"pending": 1}
    door.client.post(f"/jobs/{job_id}/pause")
    assert counted(door.client) == nothing | {"running": 1}
    door.client.post(f"/jobs/{job_id}/resume")
    claim = work.claim("worker")
    assert claim is not None
    assert counted(door.client) == nothing | {"running": 1}
    work.end(claim, Ending("Retry"))
    assert counted(door.client) == nothing | {"pending": 1}
    door.client.post(f"/jobs/{job_id}/cancel")
    assert counted(door.client) == nothing | {"completed": 1, "failed": 1}
    submitted(door.client, f"{study}/archive")
    assert worker.work()
    assert counted(door.client) == nothing | {"completed": 2, "failed": 1, "success": 1}


def test_clients_drive_jobs(door: Door, worker: JobWorker, study: str) -> None:
    url = f"http://127.0.0.1:{door.server.port}"
    study_id = study.rpartition("/")[2]
    with pyorthanc.Orthanc(url, trust_env=False) as orthanc:
        body = orthanc.post_studies_id_archive(study_id, json={"Asynchronous": True, "Priority": 2})
        job = pyorthanc.Job(body["ID"], orthanc)
        assert (job.state, job.priority, job.progress) == (pyorthanc.jobs.State.pending, 2, 0)
        worker.work()
        job.wait_until_completion(1)
        assert (job.state, job.type, job.progress) == (pyorthanc.jobs.State.success, "Archive", 100)
        assert job.error == pyorthanc.jobs.ErrorCode.SUCCESS
        assert job.creation_time <= job.completion_time <= job.timestamp
        assert job.content["InstancesCount"] == 3
        assert orthanc.get_jobs() == [job.id_]
        assert len(unzipped(orthanc.get_jobs_id_key(job.id_, "archive"))) == 3
        orthanc.delete_jobs_id_key(job.id_, "archive")
        assert orthanc.post_jobs_id_cancel(job.id_) == {}
    client = OrthancApiClient(url)
    client._http_session.trust_env = False
    body = client.post(f"{study.lstrip('/')}/media", json={"Asynchronous": True}).json()
    other = client.jobs.get(body["ID"])
    assert (other.info.status, other.info.type) == (JobStatus.PENDING, JobType.MEDIA)
    worker.work()
    assert other.wait_completed(timeout=10, polling_interval=0.05)
    assert other.info.status == JobStatus.SUCCESS
    assert body["ID"] in client.jobs.get_all_ids()
    assert "DICOMDIR" in unzipped(client.get_binary(f"jobs/{body['ID']}/archive"))
    client._http_session.close()
