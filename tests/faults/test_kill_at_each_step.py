"""SIGKILL at each step of the commit: what was acknowledged stays, what was not can be sent again, once."""

import threading
from pathlib import Path

import psycopg
import pytest

from cluster import failpoints
from tests.support.nodes import NodeProcess
from workers.load.options import LoadOptions, parse_targets
from workers.load.run import run_load

STEPS = sorted(failpoints.NAMES)


@pytest.mark.parametrize("overwrite", ["Never", "Always"])
@pytest.mark.parametrize("step", STEPS)
def test_nothing_acknowledged_is_lost_and_nothing_is_there_twice(
    step, overwrite, tmp_path, database_uri, storage_directory
):
    # Given a node that will be killed when it passes that step for the 4th time
    node = NodeProcess(
        "node",
        tmp_path,
        database_uri,
        storage_directory,
        cluster={"Failpoints": {step: "kill@4"}},
        OverwriteInstances=overwrite,
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


def files_without_rows(storage_directory: Path, database_uri: str) -> int:
    with psycopg.connect(database_uri) as connection:
        rows = {uuid for (uuid,) in connection.execute("SELECT uuid FROM AttachedFiles")}
    files = {path.name for path in storage_directory.rglob("*") if path.is_file()}
    assert rows <= files
    return len(files - rows)
