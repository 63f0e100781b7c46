"""A real Orthanc and a node of ours on one archive: both store all the time, and what either stored is deleted.

Deletions succeed through our node alone: plugins before 5.1 want a permanent table DeletedFiles, and from revision 5 on
it is temporary. Theirs end in an error then and change nothing, which is looked at here too.
"""

import random
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import psycopg

from tests.support.dicom import make_file
from tests.support.invariants import assert_exact, rows_and_files
from tests.support.nodes import NodeProcess
from tests.support.orthanc import OrthancProcess, orthanc_files
from workers.local.children import wait_until

WORKERS, ROUNDS, ATTEMPTS = 6, 12, 20


def instance(worker: int, number: int) -> bytes:
    """Worker 0 and 1 share a series, 2 and 3 a study; the others have patients of their own."""
    patient, study, series = ("P", 1, 1 + worker // 2 * (worker % 2)) if worker < 4 else (f"P{worker}", 10 + worker, 1)
    return make_file(
        PatientID=patient,
        StudyInstanceUID=f"2.25.{study}",
        SeriesInstanceUID=f"2.25.{study}.{series}",
        SOPInstanceUID=f"2.25.{study}.{series}.{worker}.{number}",
        InstanceNumber=number,
    )


class Worker:
    """Stores through either door, deletes some of it again, and remembers what it was told."""

    def __init__(self, number: int, urls: tuple[str, str], kept: dict[str, bytes], lock: threading.Lock) -> None:
        self._number = number
        self._urls = urls
        self._kept = kept
        self._lock = lock
        self._random = random.Random(number)

    def work(self) -> None:
        with httpx.Client(timeout=60, trust_env=False) as client:
            for number in range(ROUNDS):
                content = instance(self._number, number)
                stored = self._again(client, "POST", self._random.randrange(2), "/instances", content)
                public_id = stored.json()["ID"]
                if self._random.random() < 0.6:
                    if self._random.random() < 0.3:
                        assert client.delete(f"{self._urls[0]}/instances/{public_id}").status_code == 500
                    assert self._again(client, "DELETE", 1, f"/instances/{public_id}").status_code == 200
                else:
                    with self._lock:
                        self._kept[public_id] = content

    def _again(self, client: httpx.Client, method: str, door: int, path: str, content: bytes = b"") -> httpx.Response:
        """Until it is done: an Orthanc of that time answers a conflict with an error, and leaves it to its client."""
        for _ in range(ATTEMPTS):
            answer = client.request(method, f"{self._urls[door]}{path}", content=content)
            if answer.status_code < 500:
                break
        assert answer.status_code == 200, (method, door, answer.status_code, answer.text)
        return answer


def test_both_write_and_delete(tmp_path: Path, empty_database: str, storage_directory: Path) -> None:
    files = orthanc_files()
    kept: dict[str, bytes] = {}
    lock = threading.Lock()
    # Given an Orthanc under which the index was upgraded, and which has not noticed
    with (
        OrthancProcess("theirs", tmp_path, files, empty_database, storage_directory) as theirs,
        NodeProcess("ours", tmp_path, empty_database, storage_directory) as ours,
        psycopg.connect(empty_database, autocommit=True) as connection,
    ):
        # When both store and delete in the same series, studies and patients
        workers = [Worker(number, (theirs.url, ours.url), kept, lock) for number in range(WORKERS)]
        with ThreadPoolExecutor(WORKERS) as threads:
            for _ in threads.map(Worker.work, workers):
                pass
        # Then what was acknowledged and not deleted is there, byte for byte, in both
        assert len(kept) > WORKERS
        with httpx.Client(timeout=30, trust_env=False) as client:
            for url in (theirs.url, ours.url):
                assert set(client.get(f"{url}/instances").json()) == kept.keys()
                for public_id, content in kept.items():
                    assert client.get(f"{url}/instances/{public_id}/file").content == content
        # and trees, counts, announcements and files are exact
        assert wait_until(lambda: len(set(rows_and_files(connection, storage_directory)[1])) == len(kept), 20)
        rows, found = rows_and_files(connection, storage_directory)
        assert rows == found
        assert_exact(connection)
        assert "Traceback" not in ours.log.read_text("utf-8")
