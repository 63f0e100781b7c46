"""What a real Orthanc writes into the index reaches the followers of our nodes, once and in order."""

import json
import threading
from pathlib import Path

import httpx
import psycopg

from tests.support.dicom import make_file
from tests.support.nodes import NodeProcess
from tests.support.orthanc import OrthancProcess, orthanc_files
from workers.local.children import wait_until

INSTANCES = 40


def follow(url: str, seen: list[int]) -> None:
    """Until the stream ends."""
    with (
        httpx.Client(timeout=60, trust_env=False) as client,
        client.stream("GET", f"{url}/changes", headers={"Accept": "text/event-stream"}) as answer,
    ):
        seen.extend(json.loads(line[6:])["Seq"] for line in answer.iter_lines() if line.startswith("data: "))


def test_both_write_and_one_follows(tmp_path: Path, empty_database: str, storage_directory: Path) -> None:
    seen: list[int] = []
    files = orthanc_files()
    with OrthancProcess("theirs", tmp_path, files, empty_database, storage_directory) as orthanc:
        # Beside the older Orthanc, which goes on and does not notice.
        with NodeProcess("ours", tmp_path, empty_database, storage_directory) as ours:
            follower = threading.Thread(target=follow, args=(ours.url, seen))
            follower.start()
            with httpx.Client(timeout=30, trust_env=False) as client:
                for number in range(INSTANCES):
                    url = (orthanc.url, ours.url)[number % 2]
                    client.post(f"{url}/instances", content=make_file(PatientID=f"P{number % 5}")).raise_for_status()
            with psycopg.connect(empty_database) as connection:
                everything = [seq for (seq,) in connection.execute("SELECT seq FROM Changes ORDER BY seq")]
            wait_until(lambda: len(seen) >= len(everything), 20)
        # The node has left, and with it the stream.
        follower.join(10)
    assert not follower.is_alive()
    assert len(everything) > INSTANCES
    assert seen == everything
