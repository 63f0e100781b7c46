"""Limits of the archive hold for two nodes together, and what is protected stays."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from tests.concurrency.test_deletes import (
    StartNodes,
    assert_all_exact,
    client_of,
    connection,  # noqa: F401 - fixtures
    instance_file,
    start_nodes,  # noqa: F401
)

PATIENTS = "SELECT count(*) FROM Resources WHERE resourceType = 0"


@pytest.mark.parametrize("mode", ["ReadCommitted", "Serializable"])
def test_protection_and_recycling_against_ingest(
    start_nodes: StartNodes,  # noqa: F811
    connection: psycopg.Connection,  # noqa: F811
    database_uri: str,
    storage_directory: Path,
    mode: str,
) -> None:
    # Given a limit of five patients
    nodes = start_nodes(
        MaximumPatientCount=5,
        PostgreSQL={"EnableIndex": True, "ConnectionUri": database_uri, "TransactionMode": mode},
    )
    ended = threading.Event()
    kept: list[str] = []

    def upload(sender: int) -> list[int]:
        """Statuses in the end: who is answered 503 sends again, as conflicts are many under Serializable."""
        statuses = []
        with client_of(nodes[sender % 2]) as client:
            for number in range(20):
                file = instance_file(1, 1, patient=f"P{sender}.{number}", study=1000 * (sender + 1) + number)
                while (status := client.post("/instances", content=file).status_code) == 503:
                    assert mode == "Serializable"
                statuses.append(status)
        return statuses

    def watch() -> int:
        most = 0
        with psycopg.connect(database_uri, autocommit=True) as observer:
            while not ended.is_set():
                most = max(most, observer.execute(PATIENTS).fetchone()[0])
        return most

    def protect() -> None:
        # Protects what it finds, up to three; what it was told to be protected must stay.
        with client_of(nodes[1]) as client:
            while len(kept) < 3 and not ended.is_set():
                for patient in client.get("/patients").json():
                    answer = client.put(f"/patients/{patient}/protected", content="1")
                    if answer.status_code == 200 and patient not in kept and len(kept) < 3:
                        kept.append(patient)
                    if len(kept) == 3:
                        break

    with ThreadPoolExecutor(6) as threads:
        watching, protecting = threads.submit(watch), threads.submit(protect)
        uploads = [threads.submit(upload, sender) for sender in range(4)]
        statuses = [status for uploaded in uploads for status in uploaded.result()]
        ended.set()
        protecting.result()
        assert statuses == [200] * 80
        assert watching.result() <= 5
    with client_of(nodes[0]) as client:
        patients = client.get("/patients").json()
    assert len(patients) == 5
    assert set(kept) <= set(patients)
    assert_all_exact(connection, storage_directory)
