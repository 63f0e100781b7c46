"""Two nodes delete and store parts of the same study at the same time; trees, counters and files stay exact."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import psycopg
import pytest

from tests.concurrency.conftest import (
    StartNodes,
    assert_all_exact,
    client_of,
    instance_file,
    on_both,
    rows,
)
from tests.support.indices import LONG_AGO
from tests.support.invariants import rows_and_files
from tests.support.nodes import NodeProcess
from workers.local.children import wait_until

WORKERS, ROUNDS = 5, 12


@pytest.mark.parametrize(
    ("mode", "shape"),
    [(mode, shape) for shape in ("one series", "series of their own") for mode in ("ReadCommitted", "Serializable")]
    + [("sqlite", "one series")],
    indirect=["mode"],
)
def test_several_delete_the_last_instance_at_once(
    start_nodes: StartNodes, connection: psycopg.Connection, storage_directory: Path, shape: str
) -> None:
    # Given workers that each upload and delete a part of one study, in step
    nodes = start_nodes()
    step = threading.Barrier(WORKERS)
    answers: list[tuple[int, int]] = []

    def work(number: int) -> None:
        series = 1 if shape == "one series" else number
        with client_of(nodes[number % 2]) as client:
            for _ in range(ROUNDS):
                step.wait()
                stored = client.post("/instances", content=instance_file(series, number))
                step.wait()
                answers.append((stored.status_code, client.delete(stored.json()["Path"]).status_code))

    with ThreadPoolExecutor(WORKERS) as threads:
        list(threads.map(work, range(WORKERS)))
    # Then every one was stored and deleted, and nothing is left
    assert answers == [(200, 200)] * WORKERS * ROUNDS
    assert connection.execute("SELECT count(*) FROM Resources").fetchone() == (0,)
    assert connection.execute("SELECT count(*) FROM Changes").fetchone() == (0,)
    assert_all_exact(connection, storage_directory)


@on_both
def test_uploads_against_deletions_of_the_same_series(
    start_nodes: StartNodes, connection: psycopg.Connection, storage_directory: Path
) -> None:
    nodes = start_nodes()
    ended = threading.Event()
    series = study = ""
    with client_of(nodes[0]) as client:
        stored = client.post("/instances", content=instance_file(1, 1)).json()
        series, study = stored["ParentSeries"], stored["ParentStudy"]

    def upload(number: int) -> list[int]:
        with client_of(nodes[number % 2]) as client:
            return [
                client.post("/instances", content=instance_file(1 + number % 2, 100 * number + count)).status_code
                for count in range(40)
            ]

    def delete(number: int) -> set[int]:
        seen = set()
        with client_of(nodes[number % 2]) as client:
            while not ended.is_set():
                path = f"/series/{series}" if number else f"/studies/{study}"
                seen.add(client.delete(path).status_code)
        return seen

    with ThreadPoolExecutor(6) as threads:
        deletions = [threads.submit(delete, number) for number in range(2)]
        uploads = [threads.submit(upload, number) for number in range(4)]
        statuses = [status for uploaded in uploads for status in uploaded.result()]
        ended.set()
        # Then no upload was refused, no deletion failed, and what is left is whole
        assert statuses == [200] * 160
        assert set().union(*(deletion.result() for deletion in deletions)) <= {200, 404}
    assert_all_exact(connection, storage_directory)


def test_the_same_resource_is_deleted_once(start_nodes: StartNodes, connection: psycopg.Connection) -> None:
    nodes = start_nodes()
    paths = []
    with client_of(nodes[0]) as client:
        paths = [client.post("/instances", content=instance_file(1, number)).json()["Path"] for number in range(10)]

    def delete(number: int) -> list[int]:
        with client_of(nodes[number % 2]) as client:
            return [client.delete(path).status_code for path in paths]

    with ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(delete, range(4)))
    for statuses in zip(*answers, strict=True):
        assert sorted(statuses) == [200, 404, 404, 404]
    assert connection.execute("SELECT count(*) FROM Resources").fetchone() == (0,)


@on_both
@pytest.mark.parametrize("failpoint", ["resource_deleted", "removals_claimed"])
def test_a_node_killed_between_commit_and_removal_leaves_no_file(
    tmp_path: Path, index_uri: str, index: str, storage_directory: Path, connection: psycopg.Connection, failpoint: str
) -> None:
    # Given a node that dies when the rows are gone and the files are not
    node = NodeProcess("a", tmp_path, index_uri, storage_directory, cluster={"Failpoints": {failpoint: "kill"}})
    with node:
        with client_of(node) as client:
            paths = [client.post("/instances", content=instance_file(1, number)).json() for number in range(20)]
            study = paths[0]["ParentStudy"]
            if failpoint == "resource_deleted":
                with pytest.raises(httpx.TransportError):
                    client.delete(f"/studies/{study}")
            else:
                assert client.delete(f"/studies/{study}").status_code == 200
        assert wait_until(lambda: not node.process.running, 20)
        assert rows(connection) == 0
        assert len(rows_and_files(connection, storage_directory)[1]) == 20
        # Its claim, if it had one, ends some time
        connection.execute(
            "UPDATE cluster.removed_attachments SET lease_until = %s WHERE lease_until IS NOT NULL", (LONG_AGO[index],)
        )
        # When another one comes
        node.restart_without_failpoints()
        # Then the files go
        assert_all_exact(connection, storage_directory)
        assert rows_and_files(connection, storage_directory) == (set(), set())
