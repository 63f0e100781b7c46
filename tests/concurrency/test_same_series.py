"""Many processes store parts of the same series, the same instances included; rows and files must be exact."""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import pytest

from cluster.ingest.intake import open_intake
from cluster.ingest.origin import Origin
from tests.support.dicom import make_file
from tests.support.invariants import assert_exact, rows_and_files
from tests.support.settings import settings_for

PROCESSES, THREADS, INSTANCES = 3, 4, 60
ORIGIN = Origin("DicomProtocol", "SENDER", "127.0.0.1", "ORTHANC")


def send_all(uri: str, storage: str, overwrite: str, mode: str, times: int = 1) -> list[str]:
    """Every process sends every instance, in the same order, so that they meet; with SQLite one stands for all."""
    settings = settings_for(
        uri, storage, postgresql={"TransactionMode": mode} if mode != "sqlite" else None, OverwriteInstances=overwrite
    )
    intake = open_intake(settings)

    def send(number: int) -> str:
        with intake.receive(ORIGIN) as reception:
            reception.write(make_file(SOPInstanceUID=f"2.25.7.{number}", InstanceNumber=number))
            return reception.commit().status

    try:
        with ThreadPoolExecutor(THREADS * times) as threads:
            return list(threads.map(send, [number for number in range(1, INSTANCES + 1) for _ in range(times)]))
    finally:
        intake.close()


@pytest.mark.parametrize(
    ("overwrite", "mode"),
    [
        ("Never", "ReadCommitted"),
        ("Never", "Serializable"),
        ("Always", "ReadCommitted"),
        ("Never", "sqlite"),
        ("Always", "sqlite"),
    ],
    indirect=["mode"],
)
def test_same_instances_from_many_processes(index_uri, storage_directory, connection, overwrite, mode):
    arguments = (index_uri, str(storage_directory), overwrite, mode)
    if mode == "sqlite":
        outcomes = send_all(*arguments, PROCESSES)
    else:
        with ProcessPoolExecutor(PROCESSES, multiprocessing.get_context("spawn")) as pool:
            jobs = [pool.submit(send_all, *arguments) for _ in range(PROCESSES)]
            outcomes = [outcome for job in jobs for outcome in job.result()]
    if overwrite == "Never":
        assert outcomes.count("Success") == INSTANCES
        assert outcomes.count("AlreadyStored") == INSTANCES * (PROCESSES - 1)
    else:
        assert outcomes.count("Success") == INSTANCES * PROCESSES
    levels = connection.execute("SELECT resourceType, count(*) FROM Resources GROUP BY 1 ORDER BY 1").fetchall()
    assert levels == [(0, 1), (1, 1), (2, 1), (3, INSTANCES)]
    assert_exact(connection)
    rows, files = rows_and_files(connection, storage_directory)
    assert files == rows
