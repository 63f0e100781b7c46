"""SIGKILL at each step of the commit: what was acknowledged stays, what was not can be sent again, once."""

import threading
from pathlib import Path

import psycopg
import pytest

from cluster import failpoints
from tests.support.nodes import NodeProcess
from tests.support.obstacles import someone_waits_in
from workers.load.options import LoadOptions, parse_targets
from workers.load.run import LoadResult, run_load
from workers.local.children import wait_until

STEPS = sorted(failpoints.INGEST)


@pytest.mark.parametrize("overwrite", ["Never", "Always"])
@pytest.mark.parametrize("step", STEPS)
def test_nothing_acknowledged_is_lost_and_nothing_is_there_twice(
    step, overwrite, tmp_path, database_uri, storage_directory
):
    # There is a moment before COMMIT only where BEGIN is a statement of its own.
    mode = "Serializable" if step == "rows_written" else "ReadCommitted"
    # Given a node that will be killed when it passes that step for the 4th time
    node = NodeProcess(
        "node",
        tmp_path,
        database_uri,
        storage_directory,
        cluster={"Failpoints": {step: "kill@4"}},
        OverwriteInstances=overwrite,
        PostgreSQL={"EnableIndex": True, "ConnectionUri": database_uri, "TransactionMode": mode},
    )
    deaths: list[int | None] = []

    def replace_when_dead() -> None:
        while node.process.running:
            ended.wait(0.02)
            if ended.is_set():
                return
        deaths.append(node.process.returncode)
        node.restart_without_failpoints()

    ended = threading.Event()
    with node:
        doctor = threading.Thread(target=replace_when_dead)
        doctor.start()
        # When senders push until everything is acknowledged
        options = LoadOptions(
            targets=parse_targets(node.dicom), settings=node.settings, senders=4, instances=60, shared_studies=True
        )
        result = run_load(options)
        ended.set()
        doctor.join()
        # Then the node died of that, and the archive is exact
        assert deaths == [-9]
        assert result.passed, result.findings
        assert result.acknowledged == 60
    assert files_without_rows(storage_directory, database_uri) <= 4 * 4  # unacknowledged ones of one batch or two


def test_a_node_that_dies_while_postgresql_works_for_it_loses_and_repeats_nothing(
    tmp_path, database_uri, storage_directory
):
    options = {"senders": 4, "instances": 40, "shared_studies": True}
    node = NodeProcess("node", tmp_path, database_uri, storage_directory)
    with node, psycopg.connect(database_uri, autocommit=True) as observer, psycopg.connect(database_uri) as obstacle:
        # Given a batch that waits for a lock, its transaction complete but for that
        obstacle.execute("SELECT FROM GlobalIntegers WHERE key = 6 FOR UPDATE")
        load = LoadOptions(targets=parse_targets(node.dicom), settings=node.settings, **options)
        results: list[LoadResult] = []
        senders = threading.Thread(target=lambda: results.append(run_load(load)))
        senders.start()
        assert wait_until(lambda: someone_waits_in(observer, "%cluster.store_instances(%"), 20)
        # When the node is killed, PostgreSQL goes on alone, and a new one comes
        node.process.kill()
        obstacle.rollback()
        node.start()
        senders.join()
        # Then everything is there once
        [result] = results
        assert result.passed, result.findings
        assert result.acknowledged == 40


def files_without_rows(storage_directory: Path, database_uri: str) -> int:
    with psycopg.connect(database_uri) as connection:
        rows = {uuid for (uuid,) in connection.execute("SELECT uuid FROM AttachedFiles")}
    files = {path.name for path in storage_directory.rglob("*") if path.is_file()}
    assert rows <= files
    return len(files - rows)
