"""What a process leaves when it is killed between file and row, and who removes it."""

from pathlib import Path

import psycopg
import pytest

from cluster.errors import StorageFailed
from cluster.index.left_files import silent_series
from cluster.index.opening import index_of
from cluster.ingest.intake import Intake, open_intake
from cluster.ingest.origin import Origin
from cluster.ingest.removal import remove_files
from cluster.reconciliation.left_files import Patience, settle_left_files
from cluster.storage.filesystem import FilesystemStorageArea
from cluster.storage.names import nth_name
from tests.support.dicom import make_file
from tests.support.indices import LONG_AGO, only_on_postgresql
from tests.support.settings import settings_for

ORIGIN = Origin("RestApi")
AT_ONCE = Patience(silence=0, forget=3600, age=0, transactions=0.2)
LAST_LOOK = Patience(silence=0, forget=0, age=0, transactions=0.2)


class Unwalkable(FilesystemStorageArea):
    """Counts which files were asked for, and can do nothing else."""

    asked = 0

    def age_of(self, uuid: str) -> float | None:
        self.asked += 1
        return super().age_of(uuid)


@pytest.fixture
def successor(index_uri, storage_directory):
    """Another process, or the next one: its database and its storage area."""
    database = index_of(settings_for(index_uri))
    database.open()
    yield database, Unwalkable(storage_directory)
    database.close()


def stage(intake: Intake, number: int):
    with intake.receive(ORIGIN) as reception:
        reception.write(make_file(SOPInstanceUID=f"2.25.7.{number}"))
        return reception.stage()


def store(intake: Intake, number: int) -> None:
    [outcome] = intake.store_all([stage(intake, number)])
    assert not isinstance(outcome, Exception), outcome


def files(storage_directory: Path) -> set[str]:
    return {path.name for path in storage_directory.rglob("*") if path.is_file()}


def rows(connection: psycopg.Connection) -> set[str]:
    return {uuid for (uuid,) in connection.execute("SELECT uuid FROM AttachedFiles")}


def test_a_file_without_row_goes_and_others_stay(intake, successor, connection, storage_directory):
    # Given instances that are stored, and one whose process was killed before its rows
    for number in range(5):
        store(intake, number)
    left = stage(intake, 99).attachment.uuid
    database, storage = successor
    # When another process looks
    assert settle_left_files(database, storage, patience=AT_ONCE) == 1
    assert remove_files(database, storage) == 1
    # Then that file has gone, and only files of the silent process were asked for
    assert left not in files(storage_directory)
    assert files(storage_directory) == rows(connection)
    assert len(rows(connection)) == 5
    assert storage.asked < 1100
    assert connection.execute("SELECT count(*) FROM cluster.doubtful_files").fetchone() == (0,)
    # and there is nothing to be done again, until the last look
    assert silent_series(database, 0, 3600) == []
    assert settle_left_files(database, storage, patience=LAST_LOOK) == 0
    assert connection.execute("SELECT count(*) FROM cluster.attachment_series").fetchone() == (0,)


def test_who_comes_late_gets_an_error_and_may_send_again(intake, successor, connection, storage_directory):
    # Given a process that was frozen between its files and their rows
    late = [stage(intake, 1), stage(intake, 2)]
    database, storage = successor
    assert settle_left_files(database, storage, patience=AT_ONCE) == 2
    remove_files(database, storage)
    # When it goes on, then nothing is acknowledged, and no row names a file that is gone
    outcomes = intake.store_all(late)
    assert [type(outcome) for outcome in outcomes] == [StorageFailed, StorageFailed]
    assert rows(connection) == set()
    # and the sender succeeds the next time
    store(intake, 1)
    assert files(storage_directory) == rows(connection)


@pytest.mark.parametrize("overwrite", ["Never", "Always"])
def test_who_comes_late_does_not_overwrite_with_a_file_that_is_gone(
    index_uri, storage_directory, connection, successor, overwrite
):
    frozen = open_intake(settings_for(index_uri, storage_directory, OverwriteInstances=overwrite))
    late = stage(frozen, 1)
    database, storage = successor
    assert settle_left_files(database, storage, patience=AT_ONCE) == 1
    remove_files(database, storage)
    other = open_intake(settings_for(index_uri, storage_directory))
    store(other, 1)
    [outcome] = frozen.store_all([late])
    assert isinstance(outcome, StorageFailed) == (overwrite == "Always")
    assert files(storage_directory) == rows(connection)
    assert len(rows(connection)) == 1
    frozen.close()
    other.close()


@only_on_postgresql("SQLite has one writer at a time", either_way=True)
@pytest.mark.parametrize("ending", ["COMMIT", "ROLLBACK"])
def test_a_transaction_under_way_is_waited_for(intake, successor, connection, database_uri, storage_directory, ending):
    """It looked for condemned files before there were any, and wrote its row after."""
    uuid = stage(intake, 1).attachment.uuid
    database, storage = successor
    with psycopg.connect(database_uri) as slow:
        slow.execute("SELECT count(*) FROM cluster.removed_attachments")
        # When the file is condemned while that transaction is open, then nothing is decided
        assert settle_left_files(database, storage, patience=AT_ONCE) == 0
        assert remove_files(database, storage) == 0
        slow.execute("INSERT INTO Resources (resourceType, publicId, childCount) VALUES (0, 'p', 0)")
        slow.execute(
            "INSERT INTO AttachedFiles (id, fileType, uuid, compressedSize, uncompressedSize)"
            " SELECT internalId, 1024, %s, 1, 1 FROM Resources",
            (uuid,),
        )
        slow.execute(ending)
    # Then it is what that transaction made of it
    assert settle_left_files(database, storage, patience=AT_ONCE) == (ending == "ROLLBACK")
    remove_files(database, storage)
    assert files(storage_directory) == rows(connection) == ({uuid} if ending == "COMMIT" else set())
    assert connection.execute("SELECT count(*) FROM cluster.doubtful_files").fetchone() == (0,)


def test_one_killed_between_condemning_and_judging_is_followed_by_another(
    intake, successor, connection, storage_directory, monkeypatch
):
    stage(intake, 1)
    database, storage = successor
    with monkeypatch.context() as patch:
        patch.setattr("cluster.reconciliation.verdict.judge", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            settle_left_files(database, storage, patience=AT_ONCE)
    assert remove_files(database, storage) == 0
    assert settle_left_files(database, storage, patience=AT_ONCE) == 1
    remove_files(database, storage)
    assert files(storage_directory) == set()


def test_a_commit_in_doubt_is_settled_while_its_process_lives(intake, successor, connection, storage_directory, index):
    """Of two whose answers were lost one has got its row, and one has not."""
    store(intake, 1)
    [(with_row,)] = connection.execute("SELECT uuid FROM AttachedFiles")
    without_row = stage(intake, 2).attachment
    without_row.leave()
    insert = "INSERT INTO cluster.doubtful_files (uuid, noticed_at) VALUES (%s, %s)"
    connection.execute(insert, (with_row, LONG_AGO[index]))
    intake._names._registered_at = None  # half a minute later
    store(intake, 3)
    doubtful = {uuid for (uuid,) in connection.execute("SELECT uuid FROM cluster.doubtful_files")}
    assert doubtful == {with_row, without_row.uuid}
    database, storage = successor
    assert settle_left_files(database, storage, patience=Patience(silence=3600, age=0)) == 1
    remove_files(database, storage)
    assert files(storage_directory) == rows(connection)
    assert len(rows(connection)) == 2
    assert connection.execute("SELECT count(*) FROM cluster.doubtful_files").fetchone() == (0,)


def test_a_young_file_waits(intake, successor):
    stage(intake, 1)
    database, storage = successor
    assert settle_left_files(database, storage, patience=Patience(silence=0, age=60)) == 0
    assert settle_left_files(database, storage, patience=AT_ONCE) == 1


def test_a_process_that_ends_in_order_leaves_no_series(index_uri, storage_directory, connection):
    intake = open_intake(settings_for(index_uri, storage_directory))
    store(intake, 1)
    store(intake, 1)  # already stored
    with intake.receive(ORIGIN) as reception:
        reception.write(b"the sender goes away")
    intake.close()
    assert connection.execute("SELECT count(*) FROM cluster.attachment_series").fetchone() == (0,)


def test_names_are_registered_before_they_are_used(intake, successor):
    """A process that is killed at its very first file, and one that needs more than a block."""
    uuids = [intake.storage.create().uuid for _ in range(2500)]
    [found] = silent_series(successor[0], -1, 3600)
    names = {nth_name(found.series, number) for number in found.numbers}
    assert set(uuids) <= names
    assert len(set(uuids)) == 2500
