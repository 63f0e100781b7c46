"""SIGKILL between bytes and commit on storage areas that are no file system (that is in test_kill_at_each_step.py)."""

import os
import threading
from pathlib import Path

import httpx
import psycopg
import pytest

from cluster.ingest.removal import remove_files
from cluster.reconciliation.left_files import Patience, settle_left_files
from tests.integration.storage.conftest import Medium, opened_medium
from tests.support.dicom import make_file
from tests.support.nodes import NodeProcess
from workers.local.children import wait_until

SENDERS = 4
FILES_EACH = 6
STEPS = [
    ("postgresql", "bytes_streamed"),
    ("postgresql", "bytes_durable"),
    ("postgresql", "rows_written"),
    ("postgresql", "rows_committed"),
    ("s3", "bytes_streamed"),
    ("s3", "bytes_durable"),
    ("s3", "rows_committed"),
]


def content(sender: int, number: int) -> bytes:
    pixels = os.urandom(2 << 20 if number % 3 == 0 else 50_000)
    return make_file(SOPInstanceUID=f"2.25.{sender}.{number + 1}", PixelData=pixels)


@pytest.mark.parametrize(("area", "step"), STEPS)
def test_nothing_acknowledged_is_lost_and_nothing_is_left(
    area, step, request, tmp_path, database_uri, storage_directory
):
    with opened_medium(request, area, database_uri, storage_directory) as medium:
        kill_and_replace(medium, step, tmp_path, database_uri, storage_directory)


def kill_and_replace(medium: Medium, step: str, tmp_path: Path, database_uri: str, storage_directory: Path) -> None:
    # Given a node that will be killed when it passes that step for the third time
    postgresql = {"EnableIndex": True, "ConnectionUri": database_uri} | medium.options.get("postgresql", {})
    options = medium.options | {"PostgreSQL": postgresql}
    options.pop("postgresql", None)
    cluster = {"Failpoints": {step: "kill@3"}}
    node = NodeProcess("node", tmp_path, database_uri, storage_directory, cluster=cluster, **options)
    acknowledged: dict[str, bytes] = {}

    def send(sender: int) -> None:
        for number in range(FILES_EACH):
            file = content(sender, number)
            while True:
                try:
                    answer = httpx.post(f"{node.url}/instances", content=file, timeout=30, trust_env=False)
                except httpx.TransportError:
                    ended.wait(0.1)
                    continue
                if answer.status_code == 200:
                    acknowledged[answer.json()["ID"]] = file
                    break
                ended.wait(0.1)

    ended = threading.Event()
    with node:
        senders = [threading.Thread(target=send, args=(sender,)) for sender in range(SENDERS)]
        for sender in senders:
            sender.start()
        # When it is dead, and another comes
        assert wait_until(lambda: not node.process.running, 60)
        assert node.process.returncode == -9
        node.restart_without_failpoints()
        for sender in senders:
            sender.join()
        # Then everything is there, byte for byte
        assert len(acknowledged) == SENDERS * FILES_EACH
        for instance, file in acknowledged.items():
            assert httpx.get(f"{node.url}/instances/{instance}/file", trust_env=False).content == file
    # and what the dead one left is found and goes
    intake = medium.open_intake()
    settle_left_files(intake.database, intake.storage, patience=Patience(silence=0, age=0, transactions=10))
    remove_files(intake.database, intake.storage)
    with psycopg.connect(database_uri) as connection:
        rows = [uuid for (uuid,) in connection.execute("SELECT uuid FROM AttachedFiles")]
    assert len(rows) == SENDERS * FILES_EACH
    assert medium.uuids() == set(rows)
