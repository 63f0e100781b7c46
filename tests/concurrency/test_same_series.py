"""Many processes store parts of the same series, the same instances included; rows and files must be exact."""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import psycopg
import pytest

from cluster.ingest.intake import open_intake
from cluster.ingest.origin import Origin
from tests.support.dicom import make_file
from tests.support.settings import settings_for

PROCESSES, THREADS, INSTANCES = 3, 4, 60
ORIGIN = Origin("DicomProtocol", "SENDER", "127.0.0.1", "ORTHANC")
EXACT = {
    "childCount": "SELECT count(*) FROM Resources r WHERE resourceType < 3 AND childCount IS DISTINCT FROM"
    " (SELECT count(*) FROM Resources c WHERE c.parentId = r.internalId)",
    "orphaned resources": "SELECT count(*) FROM Resources r WHERE resourceType < 3"
    " AND NOT EXISTS (SELECT FROM Resources c WHERE c.parentId = r.internalId)",
    "instances without attachment": "SELECT count(*) FROM Resources r WHERE resourceType = 3"
    " AND (SELECT count(*) FROM AttachedFiles a WHERE a.id = r.internalId) <> 1",
    "changes of a new resource": "SELECT count(*) FROM (SELECT internalId FROM Changes WHERE changeType IN (2, 3, 4, 5)"
    " GROUP BY internalId HAVING count(*) <> 1) AS d",
    "silent resources": "SELECT count(*) FROM Resources r"
    " WHERE NOT EXISTS (SELECT FROM Changes c WHERE c.internalId = r.internalId)",
}


def send_all(uri: str, storage: str, overwrite: str, mode: str) -> list[str]:
    """Every process sends every instance, in the same order, so that they meet."""
    settings = settings_for(uri, storage, postgresql={"TransactionMode": mode}, OverwriteInstances=overwrite)
    intake = open_intake(settings)

    def send(number: int) -> str:
        with intake.receive(ORIGIN) as reception:
            reception.write(make_file(SOPInstanceUID=f"2.25.7.{number}", InstanceNumber=number))
            return reception.commit().status

    try:
        with ThreadPoolExecutor(THREADS) as threads:
            return list(threads.map(send, range(1, INSTANCES + 1)))
    finally:
        intake.close()


@pytest.mark.parametrize(
    ("overwrite", "mode"), [("Never", "ReadCommitted"), ("Never", "Serializable"), ("Always", "ReadCommitted")]
)
def test_same_instances_from_many_processes(database_uri, storage_directory, overwrite, mode):
    arguments = (database_uri, str(storage_directory), overwrite, mode)
    with ProcessPoolExecutor(PROCESSES, multiprocessing.get_context("spawn")) as pool:
        outcomes = [
            outcome for job in [pool.submit(send_all, *arguments) for _ in range(PROCESSES)] for outcome in job.result()
        ]
    if overwrite == "Never":
        assert outcomes.count("Success") == INSTANCES
        assert outcomes.count("AlreadyStored") == INSTANCES * (PROCESSES - 1)
    else:
        assert outcomes.count("Success") == INSTANCES * PROCESSES
    with psycopg.connect(database_uri, autocommit=True) as connection:
        levels = connection.execute("SELECT resourceType, count(*) FROM Resources GROUP BY 1 ORDER BY 1").fetchall()
        assert levels == [(0, 1), (1, 1), (2, 1), (3, INSTANCES)]
        connection.execute("SELECT * FROM UpdateInvalidChildCounts()")
        wrong = {name: connection.execute(query).fetchone()[0] for name, query in EXACT.items()}
        assert wrong == dict.fromkeys(EXACT, 0)
        rows = {uuid for (uuid,) in connection.execute("SELECT uuid FROM AttachedFiles")}
        files = {path.name for path in storage_directory.rglob("*") if path.is_file()}
        assert files == rows
        sizes = connection.execute("SELECT sum(compressedSize), count(*) FROM AttachedFiles").fetchone()
        statistics = connection.execute("SELECT * FROM UpdateStatistics()").fetchone()
        assert statistics == (1, 1, 1, INSTANCES, sizes[0], sizes[0])
