"""An archive moves from SQLite to PostgreSQL: all is the same, also after a kill, and nobody serves half of it."""

import json
import shutil
import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from cluster.database.sqlite_connection import connect
from cluster.dicom.levels import Level
from cluster.index.deletion import delete_resource
from cluster.index.labels import add_label
from cluster.index.opening import index_of
from cluster.index.protection import set_protected
from cluster.index.store_instances import store_instances
from cluster.migration.run import migrate
from cluster.schema.sqlite import install_sqlite
from tests.integration.index_reads.conftest import instance_rows
from tests.support.invariants import assert_exact
from tests.support.nodes import NodeProcess
from tests.support.settings import settings_for


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """An index with some history."""
    folder = tmp_path / "index"
    install_sqlite(folder)
    settings = settings_for(f"sqlite:{folder}", tmp_path / "OrthancStorage")
    with closing(index_of(settings)) as index:
        index.open()
        batch = [
            instance_rows(
                PatientID=f"P{number % 4}",
                PatientName=f"Müller^{number % 4}",
                StudyInstanceUID=f"2.25.{number % 8}",
                SeriesInstanceUID=f"2.25.{number % 8}.1",
                SOPInstanceUID=f"2.25.{number % 8}.1.{number}",
            )
            for number in range(40)
        ]
        store_instances(index, "Never", batch)
        patient = batch[0].instance.public_ids.patient
        set_protected(index, patient, protected=True)
        add_label(index, Level.PATIENT, patient, "label")
        delete_resource(index, Level.INSTANCE, batch[-1].instance.public_ids.instance)
        delete_resource(index, Level.PATIENT, batch[1].instance.public_ids.patient)
    return folder


def command(tmp_path: Path, source: Path, uri: str, **cluster: Any) -> subprocess.CompletedProcess[str]:
    file = tmp_path / "migration.json"
    document = {
        "StorageDirectory": str(tmp_path / "OrthancStorage"),
        "IndexDirectory": str(source),
        "PostgreSQL": {"EnableIndex": True, "ConnectionUri": uri},
        "Cluster": {"NodeName": "mover"} | cluster,
    }
    file.write_text(json.dumps(document), "utf-8")
    argv = [sys.executable, "-m", "workers", "migrate", "--config", str(file), "--from", "sqlite", "--to", "postgresql"]
    return subprocess.run(argv, capture_output=True, text=True, timeout=100)


def index_as_shown(uri: str, source: Path) -> list[Any]:
    """What is the same in both, in the words of either."""
    with closing(connect(source)) as old, psycopg.connect(uri) as new:
        pairs = []
        for sqlite, postgresql in (
            ("SELECT internalId, resourceType - 1, publicId, parentId FROM Resources ORDER BY 1", None),
            ("SELECT seq, changeType, internalId, resourceType - 1, date FROM Changes ORDER BY 1", None),
            ("SELECT id, uuid, compressedSize, uncompressedMD5 FROM AttachedFiles ORDER BY 1", None),
            ("SELECT id, label FROM Labels ORDER BY 1", None),
        ):
            text = (postgresql or sqlite).replace("resourceType - 1", "resourceType").replace("MD5", "Hash")
            pairs.append((old.execute(sqlite).fetchall(), new.execute(text).fetchall()))
    return pairs


def test_everything_moves_and_goes_on(tmp_path: Path, source: Path, empty_database: str) -> None:
    # Given
    before = (source / "index").read_bytes()
    # When it is killed after some batches, and run again
    killed = command(tmp_path, source, empty_database, Failpoints={"batch_migrated": "kill@4"})
    assert killed.returncode == -signal.SIGKILL
    with (
        pytest.raises(ChildProcessError, match="unfinished: orthanc-cluster migrate has to be run again"),
        NodeProcess("early", tmp_path, empty_database, tmp_path / "OrthancStorage"),
    ):
        pass
    done = command(tmp_path, source, empty_database)
    # Then
    assert done.returncode == 0, done.stderr
    assert "rows are the same in both" in done.stdout
    for old, new in index_as_shown(empty_database, source):
        assert new == old
        assert old
    assert (source / "index").read_bytes() == before
    with psycopg.connect(empty_database, autocommit=True) as connection:
        assert_exact(connection)
        assert connection.execute("SELECT count(*) FROM Metadata WHERE type = 18").fetchone() == (1,)
        assert connection.execute("SELECT count(*) FROM cluster.removed_attachments").fetchone() == (11,)
        [(last_change,)] = connection.execute("SELECT value FROM GlobalIntegers WHERE key = 6").fetchall()
    # A node goes on with the numbers.
    with NodeProcess("late", tmp_path, empty_database, tmp_path / "OrthancStorage") as node:
        assert httpx.get(f"{node.url}/changes?since={last_change}", trust_env=False).json()["Last"] == last_change
        assert httpx.get(f"{node.url}/statistics", trust_env=False).json()["CountInstances"] == 29
    again = command(tmp_path, source, empty_database)
    assert (again.returncode, "is complete" in again.stderr) == (3, True)


def test_what_a_killed_node_left_in_its_log_moves_too(tmp_path: Path, source: Path, empty_database: str) -> None:
    # Given files as they are when a node dies: what was committed last is only in the write-ahead log
    settings = settings_for(f"sqlite:{source}", tmp_path / "OrthancStorage")
    with closing(index_of(settings)) as index:
        index.open()
        store_instances(index, "Never", [instance_rows(PatientID="last", SOPInstanceUID="2.25.99")])
        shutil.copytree(source, tmp_path / "left")
    assert b"2.25.99" not in (tmp_path / "left" / "index").read_bytes()
    target = settings_for(empty_database, IndexDirectory=str(tmp_path / "left"))
    told: dict[str, list[tuple[int, int]]] = {}
    # When they are migrated
    rows = migrate(target, lambda what, done, total: told.setdefault(what, []).append((done, total)))
    # Then it is there, and the progress that was shown was one
    with psycopg.connect(empty_database) as connection:
        query = "SELECT count(*) FROM MainDicomTags WHERE value = '2.25.99'"
        assert connection.execute(query).fetchone() == (1,)
    for steps in told.values():
        assert [done for done, _ in steps] == sorted(done for done, _ in steps)
        assert steps[-1][0] == rows
    assert told.keys() == {"copied", "compared"}


def test_what_is_refused(tmp_path: Path, source: Path, database_uri: str, empty_database: str) -> None:
    settings = settings_for(database_uri)
    with closing(index_of(settings)) as index:
        index.open()
        store_instances(index, "Never", [instance_rows()])
    used = command(tmp_path, source, database_uri)
    assert (used.returncode, "holds resources already; nothing was changed" in used.stderr) == (3, True)
    with NodeProcess("lonely", tmp_path, "", tmp_path / "OrthancStorage", PostgreSQL={}, IndexDirectory=str(source)):
        running = command(tmp_path, source, empty_database)
        assert (running.returncode, "in use by another process" in running.stderr) == (3, True)
    nothing = command(tmp_path, tmp_path / "nowhere", empty_database)
    assert (nothing.returncode, "there is no SQLite index" in nothing.stderr) == (2, True)
    # A source that changed in between.
    killed = command(tmp_path, source, empty_database, Failpoints={"batch_migrated": "kill"})
    assert killed.returncode == -signal.SIGKILL
    with closing(connect(source)) as connection:
        connection.execute("INSERT INTO Changes (changeType, resourceType, date) VALUES (2, 4, 'x')")
    changed = command(tmp_path, source, empty_database)
    assert (changed.returncode, "has changed since its migration began" in changed.stderr) == (3, True)


def test_a_row_that_differs_is_found(tmp_path: Path, source: Path, empty_database: str) -> None:
    killed = command(tmp_path, source, empty_database, Failpoints={"batch_migrated": "kill@3"})
    assert killed.returncode == -signal.SIGKILL
    with psycopg.connect(empty_database, autocommit=True) as connection:
        connection.execute("UPDATE MainDicomTags SET value = 'other' WHERE id = (SELECT max(id) FROM MainDicomTags)")
    compared = command(tmp_path, source, empty_database)
    assert compared.returncode == 3
    assert "table maindicomtags is not the same in both databases" in compared.stderr
