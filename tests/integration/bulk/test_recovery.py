"""Workers die, messages get lost or come twice, the broker goes away: nothing is lost and nothing is done twice."""

import io
import signal
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import redis as redis_client
from rich.console import Console

from cluster.bulk.entries import ImportFile
from cluster.bulk.files import Found, cut, walk
from cluster.bulk.ledger import ChunkOutcome, Ledger, Pace
from cluster.ingest.intake import open_intake
from tests.integration.bulk.conftest import ROOT, BulkCluster, wait_until
from tests.support.dicom import make_file
from workers.local.redis_server import LocalRedis
from workers.tasks.app import make_app
from workers.tasks.chunks import ChunkWorker, _Lease, _LeaseLostError, _Run
from workers.tasks.messages import IMPORT_CHUNK, send_chunks


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """120 instances: three chunks."""
    folder = tmp_path / "in"
    folder.mkdir()
    for number in range(120):
        (folder / f"{number:03}.dcm").write_bytes(make_file(SOPInstanceUID=f"2.25.{number + 1}"))
    return folder


def the_job(cluster: BulkCluster) -> uuid.UUID:
    ((job_id,),) = cluster.query("SELECT job_id FROM cluster.import_jobs")
    assert isinstance(job_id, uuid.UUID)
    return job_id


def chunks(cluster: BulkCluster, condition: str) -> int:
    ((count,),) = cluster.query(f"SELECT count(*) FROM cluster.import_chunks WHERE {condition}")
    return int(count)


@pytest.mark.parametrize("failpoint", ["bytes_durable", "rows_committed"])
def test_another_worker_finishes_what_a_killed_one_began(cluster: BulkCluster, folder: Path, failpoint: str) -> None:
    # Given a worker process that is killed while it stores its first chunk, and then the rest of that worker
    cluster.start_worker(processes=1, Failpoints={failpoint: "kill"})
    running = cluster.run_aside(folder)
    wait_until(lambda: "signal 9 (SIGKILL)" in cluster.log())
    cluster.kill_workers()
    assert chunks(cluster, "done_at IS NOT NULL") == 0

    # When another worker starts
    cluster.start_worker()

    # Then everything is there once
    assert running.result().status == 0
    stored, already_stored, not_dicom, failed = cluster.counts(the_job(cluster))
    assert (stored + already_stored, not_dicom, failed) == (120, 0, 0)
    # What died after a commit is found as already stored, whole chunks of it; nothing else is.
    assert already_stored in ((20, 50, 70, 100, 120) if failpoint == "rows_committed" else (0,))
    assert len(cluster.instances()) == len(cluster.attachments()) == 120
    assert set(cluster.attachments()) <= set(cluster.stored_files())
    assert chunks(cluster, "attempts > 1") >= 1


def test_a_message_that_comes_twice_does_nothing_twice(cluster: BulkCluster, folder: Path) -> None:
    cluster.start_worker()
    assert cluster.run(folder).status == 0
    job_id = the_job(cluster)
    before = cluster.query("SELECT * FROM cluster.import_chunks ORDER BY chunk")
    changes = cluster.query("SELECT count(*) FROM Changes")

    app = make_app(cluster.settings)
    messages = [app.send_task(IMPORT_CHUNK, (str(job), 0)).id for job in (job_id, job_id, uuid.uuid4())]

    wait_until(lambda: all(f"import_chunk[{message}] succeeded" in cluster.log() for message in messages))
    assert cluster.query("SELECT * FROM cluster.import_chunks ORDER BY chunk") == before
    assert cluster.query("SELECT count(*) FROM Changes") == changes


def test_messages_at_the_same_time_for_one_chunk_are_one_run(cluster: BulkCluster, folder: Path) -> None:
    cluster.pace = replace(cluster.pace, lease_seconds=60)
    running = cluster.run_aside(folder)
    wait_until(lambda: cluster.query("SELECT count(*) FROM cluster.import_chunks WHERE sent_at IS NOT NULL") == [(3,)])
    send_chunks(make_app(cluster.settings), [(the_job(cluster), chunk) for chunk in (0, 1, 2) * 5])

    cluster.start_worker()

    assert running.result().status == 0
    assert cluster.query("SELECT attempts, stored FROM cluster.import_chunks ORDER BY chunk") == [
        (1, 50),
        (1, 50),
        (1, 20),
    ]


def test_a_broker_that_forgets_everything_costs_time_only(
    cluster: BulkCluster, folder: Path, redis: LocalRedis
) -> None:
    running = cluster.run_aside(folder)
    wait_until(lambda: cluster.messages() >= 3)
    with redis_client.Redis.from_url(redis.client_url) as client:
        client.flushall()

    cluster.start_worker()

    assert running.result().status == 0
    assert cluster.counts(the_job(cluster)) == (120, 0, 0, 0)


def test_workers_finish_a_job_whose_command_is_gone(cluster: BulkCluster, folder: Path, ledger: Ledger) -> None:
    job_id = uuid.uuid4()
    ledger.create_job(job_id, [folder])
    for number, chunk in enumerate(cut(walk([folder]))):
        ledger.add_chunk(job_id, number, chunk)

    cluster.start_worker()

    wait_until(lambda: ledger.progress(job_id).chunks_done == 3)
    assert cluster.counts(job_id) == (120, 0, 0, 0)


def test_the_command_says_when_no_worker_takes_anything(cluster: BulkCluster, folder: Path) -> None:
    running = cluster.run_aside(folder, silence_seconds=0.5)
    wait_until(lambda: cluster.messages() >= 4)  # one was sent again, so the silence has been noticed

    cluster.start_worker()

    done = running.result()
    assert done.status == 0
    assert done.text.count("No worker has taken anything for 0.5 s.") == 1


def test_a_chunk_that_kills_its_workers_is_given_up(cluster: BulkCluster, tmp_path: Path) -> None:
    (tmp_path / "1.dcm").write_bytes(make_file())
    cluster.pace = replace(cluster.pace, lease_seconds=0.5, resend_seconds=0.5, sweep_seconds=0.5, maximum_attempts=2)
    cluster.start_worker(processes=1, Failpoints={"bytes_written": "kill"})

    done = cluster.run(tmp_path / "1.dcm")

    assert done.status == 1
    assert [(Path(line["path"]).name, line["outcome"], line["reason"]) for line in done.report] == [
        ("1.dcm", "failed", "given up: 2 workers began this chunk and none finished it")
    ]
    assert cluster.instances() == []


def test_a_worker_that_is_told_to_stop_finishes_its_chunk(cluster: BulkCluster, folder: Path) -> None:
    cluster.pace = replace(cluster.pace, lease_seconds=60)
    worker = cluster.start_worker()
    running = cluster.run_aside(folder)
    wait_until(lambda: chunks(cluster, "attempts > 0"))

    worker.terminate()

    assert worker.wait(30) == 0
    assert chunks(cluster, "lease_holder IS NOT NULL AND done_at IS NULL") == 0
    cluster.start_worker()
    assert running.result().status == 0
    assert cluster.counts(the_job(cluster)) == (120, 0, 0, 0)


def test_an_interrupted_command_says_how_to_go_on(cluster: BulkCluster, folder: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from tests.support.settings import settings_for;"
        "from workers.import_command import import_files;"
        "settings = settings_for(sys.argv[1], cluster={'RedisUrl': sys.argv[2]});"
        "sys.exit(import_files(settings, [Path(sys.argv[3])]))"
    )
    command = subprocess.Popen(
        [sys.executable, "-c", code, cluster.database_uri, cluster.redis_url, str(folder)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    wait_until(lambda: cluster.query("SELECT 1 FROM cluster.import_jobs WHERE walked_at IS NOT NULL"))

    command.send_signal(signal.SIGINT)

    output, _ = command.communicate(timeout=30)
    assert command.returncode == 130
    assert f"orthanc-cluster import --resume {the_job(cluster)}" in output


def test_without_a_broker_nothing_begins(cluster: BulkCluster, folder: Path) -> None:
    cluster.redis_url = f"redis+socket://{folder.parent}/nobody"

    done = cluster.run(folder)

    assert done.status == 1
    assert "The broker does not answer (setting Cluster.RedisUrl)" in done.text
    assert cluster.query("SELECT count(*) FROM cluster.import_jobs") == [(0,)]


def test_the_brokers_password_is_not_shown(cluster: BulkCluster, folder: Path) -> None:
    cluster.redis_url = "redis://:verysecret@127.0.0.1:1/0"

    done = cluster.run(folder)

    assert done.status == 1
    assert "127.0.0.1:1/0" in done.text
    assert "verysecret" not in done.text


@pytest.mark.parametrize("sent", [1, 3], ids=["while files are looked for", "when all are found"])
def test_a_broker_that_goes_away_is_waited_for(
    cluster: BulkCluster, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sent: int
) -> None:
    gone = threading.Event()

    def pausing_walk(paths: Iterable[Path]) -> Iterator[Found]:
        for number, found in enumerate(walk(paths)):
            assert sent == 3 or number < 60 or gone.wait(30)
            yield found

    monkeypatch.setattr("workers.import_command.walk", pausing_walk)
    shown = io.StringIO()
    with LocalRedis(tmp_path / "redis") as redis:
        # Given an import whose broker goes away when it has so many chunks of three
        cluster.redis_url = redis.url
        running = cluster.run_aside(folder, console=Console(file=shown, width=200))
        wait_until(lambda: cluster.messages() == sent)
        redis.stop()
        gone.set()
        wait_until(lambda: "The broker does not answer (setting Cluster.RedisUrl)" in shown.getvalue())
        assert chunks(cluster, "done_at IS NOT NULL") == 0

        # When it comes back
        redis.start()
        cluster.start_worker()

        # Then the import ends as if nothing had been
        assert running.result().status == 0
        assert "The broker answers again." in shown.getvalue()
        assert cluster.counts(the_job(cluster)) == (120, 0, 0, 0)
        cluster.kill_workers()


def test_a_worker_survives_a_broker_that_comes_back(cluster: BulkCluster, folder: Path, tmp_path: Path) -> None:
    with LocalRedis(tmp_path / "redis") as redis:
        cluster.redis_url = redis.url
        cluster.start_worker()
        wait_until(lambda: "ready." in cluster.log())
        redis.stop()
        wait_until(lambda: "Connection to broker lost" in cluster.log())
        redis.start()

        assert cluster.run(folder).status == 0
        assert cluster.counts(the_job(cluster)) == (120, 0, 0, 0)
        cluster.kill_workers()


class TestLease:
    """A worker process by itself, in this process."""

    def test_is_renewed_while_working(self, cluster: BulkCluster, ledger: Ledger, folder: Path) -> None:
        job_id = self._job(ledger, folder)
        ledger.pace = Pace(lease_seconds=0.3)
        ledger.claim(job_id, 0, "me")
        lease = _Lease(ledger, job_id, 0, "me")

        done = threading.Event()
        taken: list[object] = []

        def others() -> None:
            while not done.is_set():
                taken.append(ledger.claim(job_id, 0, "other"))

        other = threading.Thread(target=others)
        other.start()
        for _ in range(20):
            done.wait(0.05)
            lease.keep()
        done.set()
        other.join()

        assert len(taken) > 10
        assert set(map(type, taken)) == {type(None)}

    def test_that_is_lost_ends_the_work_and_leaves_no_file(
        self, cluster: BulkCluster, ledger: Ledger, folder: Path
    ) -> None:
        job_id = self._job(ledger, folder)
        ledger.pace = Pace(lease_seconds=0)
        ledger.claim(job_id, 0, "me")
        assert ledger.claim(job_id, 0, "other") is not None
        intake = open_intake(cluster.settings)
        try:
            with pytest.raises(_LeaseLostError):
                _Run(intake, _Lease(ledger, job_id, 0, "me"), "here").do([ImportFile(str(folder / "000.dcm"))])
        finally:
            intake.close()

        assert cluster.stored_files() == []
        assert cluster.instances() == []

    def test_a_slow_run_does_not_speak_for_its_successor(
        self, cluster: BulkCluster, ledger: Ledger, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The lease ends while the rows are being written; somebody else takes the chunk and completes it."""
        job_id = self._job(ledger, folder)
        worker = ChunkWorker(cluster.settings, Pace(lease_seconds=0.2))
        intake = worker.open()
        store_all = intake.store_all

        def slow(batch: object) -> object:
            wait_until(lambda: ledger.claim(job_id, 0, "other") is not None, 5)
            outcomes = store_all(batch)  # type: ignore[arg-type]
            assert ledger.complete(job_id, 0, "other", ChunkOutcome(0, 50, ()))
            return outcomes

        monkeypatch.setattr(intake, "store_all", slow)
        try:
            assert worker.work(job_id, 0) == "lease_lost"
        finally:
            worker.close()

        assert cluster.counts(job_id) == (0, 50, 0, 0)
        assert len(cluster.instances()) == 50

    @staticmethod
    def _job(ledger: Ledger, folder: Path) -> uuid.UUID:
        job_id = uuid.uuid4()
        ledger.create_job(job_id, [folder])
        ledger.add_chunk(job_id, 0, next(iter(cut(walk([folder])))))
        return job_id
