"""The use case against a real database and file system: what is kept, what is removed, who waits for whom."""

import dataclasses
import resource
import signal
import threading
import time
from contextlib import closing

import psycopg
import pytest
from prometheus_client import REGISTRY

from cluster.dicom.levels import Level
from cluster.dicom.main_tags import TagValue
from cluster.errors import (
    ClusterError,
    CommitUnknown,
    DatabaseRefused,
    MissingIdentifier,
    NodeBusy,
    NotDicom,
    ReferenceMismatch,
    StorageFailed,
    StorageFull,
    TruncatedDicom,
)
from cluster.ingest.commit import Stored
from cluster.ingest.intake import open_intake
from cluster.ingest.origin import Origin
from tests.support.dicom import make_file
from tests.support.indices import connect, only_on_postgresql
from tests.support.proxy import Proxy
from tests.support.settings import settings_for

ORIGIN = Origin("DicomProtocol", "SENDER", "127.0.0.1", "ORTHANC")


@pytest.fixture
def open_(index_uri, storage_directory):
    opened = []

    def open_with(uri=index_uri, **options):
        intake = open_intake(settings_for(uri, storage_directory, **options))
        opened.append(intake)
        return intake

    yield open_with
    for intake in opened:
        intake.close()


@pytest.fixture
def sql(index_uri):
    with connect(index_uri) as connection:
        yield lambda query, *values: connection.execute(query, values).fetchall()


@pytest.fixture
def files(storage_directory):
    return lambda: {path.name: path for path in storage_directory.rglob("*") if path.is_file()}


def send(intake, file, **announced):
    with intake.receive(ORIGIN, **announced) as reception:
        # in pieces, as a network would
        for start in range(0, len(file), 500):
            reception.write(memoryview(file)[start : start + 500])
        return reception.commit()


def test_bytes_and_rows_agree(open_, sql, files):
    file = make_file()
    stored = send(open_(), file)
    [(uuid, size)] = sql("SELECT uuid, compressedSize FROM AttachedFiles")
    assert stored.status == "Success"
    assert files()[uuid].read_bytes() == file
    assert files()[uuid].parent.parts[-2:] == (uuid[0:2], uuid[2:4])
    assert size == len(file)


def test_hashes_can_be_switched_off(open_, sql):
    send(open_(StoreMD5ForAttachments=False), make_file())
    assert sql("SELECT uncompressedHash, compressedHash FROM AttachedFiles") == [("", "")]


def test_left_without_commit_leaves_nothing(open_, sql, files, storage_directory):
    intake = open_(cluster={"StreamingThresholdKilobytes": 1})
    with intake.receive(ORIGIN) as reception:
        reception.write(bytes(100_000))
        assert len(files()) == 1
    assert files() == {}
    assert list(storage_directory.iterdir()) == []
    assert intake.drain(0)


@pytest.mark.parametrize(
    ("file", "announced", "error"),
    [
        (b"", {}, NotDicom),
        (b"Dear Sir,\n" * 100, {}, NotDicom),
        (make_file()[:-50], {}, TruncatedDicom),
        (make_file(StudyInstanceUID=None), {}, MissingIdentifier),
        (make_file(SeriesInstanceUID=""), {}, MissingIdentifier),
        (make_file(), {"sop_instance_uid": "2.25.4711"}, ReferenceMismatch),
        (make_file(), {"sop_class_uid": "1.2.840.10008.5.1.4.1.1.4"}, ReferenceMismatch),
    ],
)
def test_unusable_data_leaves_nothing(open_, sql, files, file, announced, error):
    with pytest.raises(error):
        send(open_(), file, **announced)
    assert files() == {}
    assert sql("SELECT count(*) FROM Resources") == [(0,)]


def test_duplicate_keeps_the_first_file(open_, sql, files):
    intake, file = open_(), make_file()
    assert send(intake, file).status == "Success"
    before = set(files())
    assert send(intake, file).status == "AlreadyStored"
    assert set(files()) == before


def test_overwriting_keeps_the_last_file(open_, sql, files):
    intake = open_(OverwriteInstances=True)
    send(intake, make_file(SOPInstanceUID="2.25.7"))
    again = make_file(SOPInstanceUID="2.25.7", PatientName="Other")
    assert send(intake, again).status == "Success"
    [(uuid,)] = sql("SELECT uuid FROM AttachedFiles")
    assert set(files()) == {uuid}
    assert files()[uuid].read_bytes() == again


def test_same_instance_from_many_threads_is_stored_once(open_, sql, files):
    intake, file = open_(), make_file()
    outcomes = []
    threads = [threading.Thread(target=lambda: outcomes.append(send(intake, file).status)) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["AlreadyStored"] * 11 + ["Success"]
    assert len(files()) == 1


def test_lone_sender_does_not_wait_for_company(open_):
    intake = open_(cluster={"MaximumBatchWaitMilliseconds": 20_000})
    started = time.monotonic()
    send(intake, make_file())
    assert time.monotonic() - started < 10


@only_on_postgresql("tells transactions by the xmin of their rows", either_way=True)
def test_company_on_its_way_shares_the_commit(open_, sql):
    # Given a sender who is still sending
    intake = open_(cluster={"MaximumBatchWaitMilliseconds": 20_000})
    file = make_file()
    with intake.receive(ORIGIN) as late:
        late.write(file)
        first = threading.Thread(target=send, args=(intake, make_file()))
        first.start()
        # When another has handed in, it waits
        first.join(0.3)
        assert first.is_alive()
        late.commit()
    first.join(10)
    # Then both are in one transaction
    assert sql("SELECT count(*), count(DISTINCT xmin::text) FROM AttachedFiles") == [(2, 1)]


@only_on_postgresql("tells transactions by the xmin of their rows", either_way=True)
def test_batch_is_bounded(open_, sql):
    intake = open_(cluster={"MaximumBatchSize": 3, "BatchesInFlight": 1})
    with intake.receive(ORIGIN) as reception:
        reception.write(make_file())
        staged = [reception.stage()]
    for _ in range(9):
        with intake.receive(ORIGIN) as reception:
            reception.write(make_file())
            staged.append(reception.stage())
    outcomes = intake.store_all(staged)
    assert all(isinstance(outcome, Stored) for outcome in outcomes)
    sizes = sql("SELECT count(*) FROM AttachedFiles GROUP BY xmin::text ORDER BY 1")
    assert sizes == [(1,), (3,), (3,), (3,)]


def test_twins_in_one_import_are_told_apart(open_):
    intake, file, staged = open_(), make_file(), []
    for _ in range(3):
        with intake.receive(ORIGIN) as reception:
            reception.write(file)
            staged.append(reception.stage())
    assert [outcome.status for outcome in intake.store_all(staged)] == ["Success", "AlreadyStored", "AlreadyStored"]


POISON = {
    "postgresql": (TagValue(0x20, 0x4000, "a\0b"),),  # which it cannot hold
    "sqlite": (TagValue(0x20, 0x4000, "a"),) * 2,  # which it can hold only once
}


def test_one_poisonous_instance_does_not_spoil_its_batch(open_, sql, files, index):
    intake, staged = open_(), []
    for _ in range(3):
        with intake.receive(ORIGIN) as reception:
            reception.write(make_file())
            staged.append(reception.stage())
    # The reader lets none through, so it is planted behind it.
    tags = list(staged[1].instance.main_tags)
    tags[Level.INSTANCE] = POISON["sqlite" if index == "sqlite" else "postgresql"]
    poisoned = dataclasses.replace(staged[1].instance, main_tags=tuple(tags))
    staged[1] = dataclasses.replace(staged[1], instance=poisoned)
    outcomes = intake.store_all(staged)
    assert isinstance(outcomes[1], DatabaseRefused)
    assert isinstance(outcomes[0], Stored)
    assert isinstance(outcomes[2], Stored)
    assert len(files()) == 2


def test_large_instance_goes_to_its_file_while_it_is_received(open_, files):
    intake = open_(cluster={"StreamingThresholdKilobytes": 64})
    large = make_file(Rows=512, Columns=512, PixelData=bytes(512 * 512 * 2))
    with intake.receive(ORIGIN) as reception:
        reception.write(large[:200_000])
        assert len(files()) == 1
        assert held() == 0
        reception.write(large[200_000:])
        reception.commit()
    [path] = files().values()
    assert path.read_bytes() == large


def test_memory_budget_is_never_exceeded(open_, files):
    # A quarter of 1 MB for all receptions together
    intake = open_(cluster={"MemoryBudgetMegabytes": 1, "StreamingThresholdKilobytes": 200})
    with closing(intake), intake.receive(ORIGIN) as one, intake.receive(ORIGIN) as two:
        one.write(bytes(150_000))
        two.write(bytes(150_000))
        assert held() == 150_000
        assert len(files()) == 1
    assert held() == 0


def held():
    return REGISTRY.get_sample_value("orthanc_cluster_buffered_bytes")


@pytest.fixture
def small_files_only():
    """The file system takes no file beyond 64 KB, which is how a full one feels (EFBIG instead of ENOSPC)."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (65_536, limits[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    signal.signal(signal.SIGXFSZ, handler)


@only_on_postgresql("the limit would be one of SQLite's files too; see sqlite/test_full_disk.py", either_way=True)
@pytest.mark.parametrize("threshold", [16, 4096])
def test_full_storage_is_told_and_leaves_nothing(open_, files, small_files_only, threshold):
    intake = open_(cluster={"StreamingThresholdKilobytes": threshold})
    with pytest.raises(StorageFull):
        send(intake, make_file(Rows=512, Columns=512, PixelData=bytes(512 * 512 * 2)))
    assert files() == {}
    # and small ones still go in
    assert send(intake, make_file()).status == "Success"


def test_unusable_storage_directory_is_told(open_, storage_directory):
    intake = open_()
    storage_directory.rmdir()
    storage_directory.write_text("a file where the folder was")
    with pytest.raises(StorageFailed, match=str(storage_directory)):
        send(intake, make_file())


@pytest.fixture
def proxy(database_uri):
    parts = psycopg.conninfo.conninfo_to_dict(database_uri)
    with Proxy(parts["host"], int(parts["port"])) as proxy:
        proxy.uri = (
            f"postgresql://{parts['user']}:{parts['password']}@127.0.0.1:{proxy.port}/{parts['dbname']}?sslmode=disable"
        )
        yield proxy


@only_on_postgresql("a server that is away", either_way=True)
def test_lost_answer_is_asked_for_again_and_counts_once(open_, sql, files, proxy):
    intake = open_(proxy.uri)
    proxy.swallow_answer_after(b"store_instances")
    assert send(intake, make_file()).status == "Success"
    assert proxy.swallowed.is_set()
    assert sql("SELECT count(*) FROM Changes") == [(4,)]
    assert len(files()) == 1


@only_on_postgresql("a server that is away", either_way=True)
@pytest.mark.parametrize("overwrite", [False, True])
def test_unknown_commit_keeps_the_file(open_, sql, files, proxy, overwrite):
    # Given a connection that breaks once the batch was sent, and stays broken
    intake = open_(
        proxy.uri,
        # One connection: a second one, open already, could carry the replay before it is cut too.
        postgresql={"IndexConnectionsCount": 1},
        cluster={"TransactionTimeBudgetSeconds": 1},
        OverwriteInstances=overwrite,
    )
    send(intake, make_file())
    proxy.swallow_answer_after(b"store_instances")
    proxy.refuse()
    # When an instance is sent
    with pytest.raises(CommitUnknown):
        send(intake, make_file(SOPInstanceUID="2.25.7"))
    assert proxy.swallowed.is_set()
    # Then the row is there, and so is its file
    rows = {uuid for (uuid,) in sql("SELECT uuid FROM AttachedFiles")}
    assert len(rows) == 2
    assert rows == set(files())
    # and the sender's second try, at another node, finds it
    another = open_(OverwriteInstances=overwrite)
    expected = "Success" if overwrite else "AlreadyStored"
    assert send(another, make_file(SOPInstanceUID="2.25.7")).status == expected
    assert {uuid for (uuid,) in sql("SELECT uuid FROM AttachedFiles")} == set(files())


@only_on_postgresql("a server that is away", either_way=True)
def test_database_that_is_away_leaves_nothing(open_, files):
    intake = open_("postgresql://nobody@127.0.0.1:1/none", cluster={"TransactionTimeBudgetSeconds": 1})
    with pytest.raises(ClusterError) as raised:
        send(intake, make_file())
    assert not isinstance(raised.value, CommitUnknown)
    assert files() == {}


def test_draining_refuses_and_finishes(open_):
    intake = open_()
    with intake.receive(ORIGIN) as reception:
        reception.write(make_file())
        assert intake.drain(0.05) is False
        with pytest.raises(NodeBusy):
            intake.receive(ORIGIN)
        assert reception.commit().status == "Success"
    assert intake.drain(1) is True
