"""``orthanc-cluster check`` on an archive with each kind of damage, and beside writers."""

import json
import os
import subprocess
import sys
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
from click.testing import CliRunner

from cluster.dicom.levels import Level
from cluster.errors import StorageFailed
from cluster.index.deletion import delete_resource
from cluster.ingest.intake import open_intake
from cluster.ingest.origin import Origin
from cluster.ingest.removal import remove_files
from tests.support.dicom import make_file
from tests.support.invariants import assert_exact, rows_and_files
from tests.support.settings import settings_for
from workers.check_command import check
from workers.local.children import wait_until

ORIGIN = Origin("RestApi")
STORED = 8
OLD = 7200
CONDEMNED = "SELECT count(*) FROM cluster.removed_attachments"


def store(intake, number: int) -> str:
    with intake.receive(ORIGIN) as reception:
        reception.write(make_file(SOPInstanceUID=f"2.25.7.{number}", InstanceNumber=number))
        return reception.commit().ids.instance


class Checker:
    """Runs the command on an archive."""

    def __init__(self, folder: Path, database_uri: str, storage_directory: Path) -> None:
        self.report = folder / "check.jsonl"
        self._configuration = folder / "check.json"
        self._configuration.write_text(
            json.dumps(
                {
                    "StorageDirectory": str(storage_directory),
                    "PostgreSQL": {"EnableIndex": True, "ConnectionUri": database_uri},
                }
            )
        )

    def __call__(self, *arguments: str) -> tuple[int, list[dict]]:
        """Exit status and findings."""
        command = ["--config", self._configuration, "--report", self.report, "--share", "100", *arguments]
        result = CliRunner().invoke(check, list(map(str, command)), catch_exceptions=False)
        lines = [json.loads(line) for line in self.report.read_text().splitlines()]
        assert "summary" in lines[-1], result.output
        return result.exit_code, [line for line in lines if "finding" in line]


@pytest.fixture
def checker(tmp_path, database_uri, storage_directory):
    return Checker(tmp_path, database_uri, storage_directory)


@pytest.fixture
def archive(intake, connection):
    for number in range(STORED):
        store(intake, number)
    return [uuid for (uuid,) in connection.execute("SELECT uuid FROM AttachedFiles ORDER BY id")]


def path_of(storage_directory: Path, name: str) -> Path:
    return storage_directory / name[:2] / name[2:4] / name


def put(storage_directory: Path, name: str, age: float = OLD) -> Path:
    path = path_of(storage_directory, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"left")
    os.utime(path, (time.time() - age,) * 2)
    return path


@pytest.mark.parametrize(
    ("options", "status", "message"),
    [
        ({"StorageDirectory": "/nowhere/at/all"}, 2, "StorageDirectory"),
        ({"PostgreSQL": {"EnableIndex": True, "EnableStorage": True}}, 2, "PostgreSQL.EnableStorage"),
        ({"PostgreSQL": {"EnableIndex": True, "ConnectionUri": "postgresql://x@127.0.0.1:1/x"}}, 3, "127.0.0.1"),
    ],
)
def test_what_cannot_be_compared_is_told(tmp_path, options, status, message):
    configuration = tmp_path / "other.json"
    configuration.write_text(json.dumps({"StorageDirectory": str(tmp_path)} | options))
    command = [sys.executable, "-m", "workers", "check", "--config", configuration, "--report", tmp_path / "r.jsonl"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr.count("\n")) == (status, 1), ended.stderr
    assert message in ended.stderr
    assert not (tmp_path / "r.jsonl").exists()


def test_a_clean_archive(archive, checker, storage_directory):
    (storage_directory / "lost+found").mkdir()
    (storage_directory / "lost+found" / "somebody's").write_text("else")
    assert checker("--hash") == (0, [])
    assert json.loads(checker.report.read_text().splitlines()[-1])["files"] == STORED


def test_every_damage_is_named_and_nothing_is_changed(archive, checker, connection, storage_directory):
    # Given one damage of each kind
    lost, short, changed, *_ = archive
    path_of(storage_directory, lost).unlink()
    with path_of(storage_directory, short).open("ab") as file:
        file.write(b"x")
    content = path_of(storage_directory, changed).read_bytes()
    path_of(storage_directory, changed).write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    left = str(uuid.uuid4())
    put(storage_directory, left)
    put(storage_directory, str(uuid.uuid4()), age=60)
    connection.execute("SELECT * FROM UpdateInvalidChildCounts()")
    connection.execute("UPDATE GlobalIntegers SET value = value + 3 WHERE key = 5")
    connection.execute("UPDATE Resources SET childCount = 77 WHERE resourceType = 2")
    before = rows_and_files(connection, storage_directory)
    # When it is checked
    status, findings = checker("--hash")
    # Then each is there under its name
    assert status == 1
    assert [(it["finding"], it.get("uuid"), it.get("stated"), it.get("found")) for it in findings] == [
        ("file without row", left, None, 4),
        ("row without file", lost, len(content), None),
        ("wrong size", short, len(content), len(content) + 1),
        *[("wrong MD5", changed, it["stated"], it["found"]) for it in findings if it["finding"] == "wrong MD5"],
        ("wrong total", None, STORED + 3, STORED),
        ("wrong child count", None, 77, STORED),
    ]
    assert len(findings) == 6
    assert all(it["level"] == "instance" for it in findings[1:4])
    # and everything is as it was; without --hash the MD5 is not seen
    assert rows_and_files(connection, storage_directory) == before
    assert [it["finding"] for it in checker()[1]].count("wrong MD5") == 0


@pytest.mark.parametrize("deletes", [False, True])
def test_a_repair_settles_what_cannot_lose_anything(
    archive, checker, connection, database_uri, storage_directory, deletes
):
    lost = archive[0]
    path_of(storage_directory, lost).unlink()
    left = str(uuid.uuid4())
    put(storage_directory, left)
    connection.execute("SELECT * FROM UpdateInvalidChildCounts()")
    connection.execute("UPDATE GlobalIntegers SET value = value + 3 WHERE key = 5")
    connection.execute("UPDATE Resources SET childCount = 77 WHERE resourceType = 2")
    # When it is repaired, then the row that lost its file is still reported
    status, findings = checker("--repair", *(["--delete"] if deletes else []))
    assert status == 1
    assert [(it["finding"], it.get("settled")) for it in findings] == [
        ("file without row", "deleted" if deletes else "quarantined"),
        ("row without file", None),
        ("wrong total", "corrected"),
        ("wrong child count", "corrected"),
    ]
    assert not path_of(storage_directory, left).exists()
    assert (storage_directory / "quarantine" / left).exists() is not deletes
    assert connection.execute("SELECT count(*) FROM AttachedFiles").fetchone() == (STORED,)
    # and goes when that is asked for
    status, findings = checker("--repair", "--delete-rows")
    assert (status, [it["settled"] for it in findings]) == (0, ["row deleted"])
    assert connection.execute("SELECT count(*) FROM AttachedFiles").fetchone() == (STORED - 1,)
    assert_exact(connection)
    assert checker() == (0, [])


def test_a_wrong_directory_is_no_reason_to_delete_everything(archive, checker, connection, storage_directory):
    for name in archive:
        path_of(storage_directory, name).rename(storage_directory / name)
    left = [put(storage_directory, str(uuid.uuid4())) for _ in range(3)]
    status, findings = checker("--repair", "--delete", "--delete-rows", "--at-most", "10")
    assert (status, len(findings)) == (1, STORED + 3)
    assert all("settled" not in it for it in findings)
    assert all(path.exists() for path in left)
    assert connection.execute("SELECT count(*) FROM AttachedFiles").fetchone() == (STORED,)


def test_a_file_that_gets_its_row_meanwhile_stays(intake, checker, connection, database_uri, storage_directory):
    """Its transaction began before anybody looked and commits while the repair waits for it."""
    name = str(uuid.uuid4())
    path = put(storage_directory, name)
    with psycopg.connect(database_uri) as slow:
        slow.execute("INSERT INTO Resources (resourceType, publicId, childCount) VALUES (0, 'p', 0)")
        slow.execute(
            "INSERT INTO AttachedFiles (id, fileType, uuid, compressedSize, uncompressedSize)"
            " SELECT internalId, 1024, %s, 4, 4 FROM Resources",
            (name,),
        )

        def commit_when_it_is_condemned() -> None:
            assert wait_until(lambda: connection.execute(CONDEMNED).fetchone()[0] > 0, 20)
            slow.commit()

        committer = threading.Thread(target=commit_when_it_is_condemned)
        committer.start()
        status, [finding] = checker("--repair", "--delete")
        committer.join()
    assert (status, finding["finding"], "settled" in finding) == (1, "file without row", False)
    assert path.exists()
    assert checker() == (0, [])
    assert connection.execute(CONDEMNED).fetchone() == (0,)


def test_an_interrupted_run_goes_on(archive, checker, storage_directory, monkeypatch):
    low, high = f"0{uuid.uuid4()}"[:36], f"f{uuid.uuid4()}"[:36]
    put(storage_directory, low)
    put(storage_directory, high)
    monkeypatch.setattr("workers.check_command.ranges", lambda _, begin: [range(begin, 0x8000), range(0x8000, 0x10000)])
    with monkeypatch.context() as patch:
        patch.setattr("cluster.reconciliation.comparison.Comparison._wrong_bytes", _fail_the_second_time())
        with pytest.raises(ZeroDivisionError):
            checker()
    monkeypatch.setattr("workers.check_command.ranges", lambda _, begin: [range(begin, 0x10000)])
    status, findings = checker("--resume")
    assert (status, [it["uuid"] for it in findings]) == (1, [low, high])
    assert checker.report.read_text().count("compared_upto") == 2


def _fail_the_second_time():
    times = []

    def wrong_bytes(*_):
        times.append(1)
        return [] if len(times) == 1 else 1 / 0

    return wrong_bytes


@pytest.mark.parametrize(("arguments", "is_impatient"), [(["--grace", "5"], False), (["--grace", "0"], True)])
def test_beside_writers(intake, checker, database_uri, storage_directory, connection, arguments, is_impatient):
    """Instances come, are overwritten and go, while a repair runs again and again.

    One that takes every file for old may make a sender try again, and still loses nothing that was acknowledged.
    """
    other = open_intake(settings_for(database_uri, storage_directory, OverwriteInstances="Always"))
    ended = threading.Event()
    rounds, kept, refused = [0, 0, 0], set(), []

    def write(number: int) -> None:
        while not ended.is_set():
            rounds[number] += 1
            place = 100 * number + rounds[number] % 10
            try:
                instance = store(other, place)
            except StorageFailed:
                refused.append(place)
                continue
            kept.add(instance)
            if rounds[number] % 3 == 0:
                kept.remove(instance)
                delete_resource(other.database, Level.INSTANCE, instance)
                remove_files(other.database, other.storage)

    found = []
    with ThreadPoolExecutor(3) as threads:
        writers = [threads.submit(write, number) for number in range(3)]
        try:
            while len(found) < 4 or (min(rounds) < 9 and len(found) < 100):
                found.append(checker("--repair", "--delete", "--hash", *arguments))
        finally:
            ended.set()
        assert [writer.result() for writer in writers] == [None] * 3
    other.close()
    assert min(rounds) >= 9
    if not is_impatient:
        assert found == [(0, [])] * len(found)
        assert refused == []
    # Whatever was in doubt in the end is settled, and what was acknowledged is there
    checker("--repair", "--delete", "--grace", "0")
    assert {name for (name,) in connection.execute("SELECT publicId FROM Resources WHERE resourceType = 3")} == kept
    rows, files = rows_and_files(connection, storage_directory)
    assert rows == files
    assert_exact(connection)
