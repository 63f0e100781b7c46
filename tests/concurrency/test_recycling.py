"""Limits of the archive hold for two nodes together, and what is protected stays."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg

from tests.concurrency.conftest import (
    StartNodes,
    assert_all_exact,
    client_of,
    in_every_mode,
    instance_file,
)
from tests.support.indices import is_sqlite

UPLOADERS, PATIENTS_OF_EACH = 16, 5
NO_SIXTH_PATIENT = (
    """
    CREATE FUNCTION refuse_sixth_patient() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF (SELECT count(*) FROM Resources WHERE resourceType = 0) > 5 THEN
            RAISE EXCEPTION 'there would be a sixth patient';
        END IF;
        RETURN NULL;
    END
    $$
    """,
    "CREATE CONSTRAINT TRIGGER NoSixthPatient AFTER INSERT ON Resources DEFERRABLE INITIALLY DEFERRED"
    " FOR EACH ROW WHEN (NEW.resourceType = 0) EXECUTE FUNCTION refuse_sixth_patient()",
)

NO_SIXTH_PATIENT_IN_SQLITE = (
    "CREATE TRIGGER main.no_sixth_patient AFTER INSERT ON Resources"
    " WHEN (SELECT count(*) FROM Resources WHERE resourceType = 1) > 5"
    " BEGIN SELECT RAISE(ABORT, 'there would be a sixth patient'); END",
)
"""At once: whoever makes room does it before."""


@in_every_mode
def test_protection_and_recycling_against_ingest(
    start_nodes: StartNodes, connection: psycopg.Connection, storage_directory: Path
) -> None:
    # Given a limit of five patients, which each commit is held against
    for statement in NO_SIXTH_PATIENT_IN_SQLITE if is_sqlite(connection) else NO_SIXTH_PATIENT:
        connection.execute(statement)
    nodes = start_nodes(MaximumPatientCount=5)
    ended = threading.Event()
    kept: list[str] = []

    def upload(sender: int) -> list[int]:
        with client_of(nodes[sender % 2]) as client:
            files = [
                instance_file(1, 1, patient=f"P{sender}.{number}", study=1000 * (sender + 1) + number)
                for number in range(PATIENTS_OF_EACH)
            ]
            return [client.post("/instances", content=file).status_code for file in files]

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

    with ThreadPoolExecutor(UPLOADERS + 1) as threads:
        protecting = threads.submit(protect)
        uploads = [threads.submit(upload, sender) for sender in range(UPLOADERS)]
        statuses = [status for uploaded in uploads for status in uploaded.result()]
        ended.set()
        protecting.result()
        # Then none was refused, whatever conflicts there were
        assert statuses == [200] * UPLOADERS * PATIENTS_OF_EACH
    with client_of(nodes[0]) as client:
        patients = client.get("/patients").json()
    assert len(patients) == 5
    assert set(kept) <= set(patients)
    assert_all_exact(connection, storage_directory)
