"""What every storage area keeps to: the same tests for each."""

import hashlib
import os
import random
import threading
import tracemalloc
import uuid

import psycopg
import pytest

from cluster.dicom.levels import Level
from cluster.errors import CommitUnknown, DatabaseRefused, NotDicom, UnknownResource
from cluster.index.attached_files import Slot, read_attachment
from cluster.index.attachments import Compression
from cluster.index.deletion import delete_resource
from cluster.index.limits import UNLIMITED
from cluster.index.revisions import Precondition
from cluster.ingest.attachment import attach, change_form, content, is_intact
from cluster.ingest.origin import Origin
from cluster.ingest.removal import remove_files
from tests.support.dicom import make_file
from tests.support.large_objects import orphaned_objects
from tests.support.proxy import Proxy

ORIGIN = Origin("DicomProtocol", "SENDER", "127.0.0.1", "ORTHANC")
LARGE = 3 << 20  # beyond StreamingThresholdKilobytes


@pytest.fixture
def sql(database_uri):
    with psycopg.connect(database_uri, autocommit=True) as connection:

        def run(query, *values):
            cursor = connection.execute(query, values)
            return cursor.fetchall() if cursor.description else []

        yield run


def file_of(size, **keywords):
    return make_file(PixelData=os.urandom(size), **keywords)


def receive(intake, file):
    with intake.receive(ORIGIN) as reception:
        for start in range(0, len(file), 100_000):
            reception.write(memoryview(file)[start : start + 100_000])
        return reception.stage()


def send(intake, file):
    [outcome] = intake.store_all([receive(intake, file)])
    if isinstance(outcome, Exception):
        raise outcome
    return outcome


def only_row(sql):
    [(stored,)] = sql("SELECT uuid FROM AttachedFiles")
    return stored


def everything(intake, stored):
    with intake.storage.open(stored) as file:
        return file.read()


@pytest.mark.parametrize("size", [2, 300_000, LARGE])
def test_what_was_acknowledged_is_there(medium, sql, size):
    intake, file = medium.open_intake(), file_of(size)
    assert send(intake, file).status == "Success"
    assert everything(intake, only_row(sql)) == file
    assert medium.uuids() == {only_row(sql)}


def test_another_process_reads_it(medium, sql):
    file = file_of(1000)
    send(medium.open_intake(), file)
    assert everything(medium.open_intake(), only_row(sql)) == file


@pytest.mark.parametrize("size", [50_000, LARGE])
def test_ranges(medium, sql, size):
    intake, file = medium.open_intake(), file_of(size)
    send(intake, file)
    generator = random.Random(7)
    with intake.storage.open(only_row(sql)) as opened:
        for _ in range(20):
            start = generator.randrange(len(file))
            wanted = generator.randrange(1, len(file))
            opened.seek(start)
            assert opened.read(wanted) == file[start : start + wanted]
            assert opened.tell() == min(start + wanted, len(file))
        assert opened.seek(-10, os.SEEK_END) == len(file) - 10
        assert opened.read() == file[-10:]
        assert opened.read(1) == b""
        assert opened.seek(len(file) + 5) == len(file) + 5
        assert opened.read(1) == b""


def test_a_batch_of_small_and_large_ones(medium, sql):
    intake = medium.open_intake()
    files = [
        file_of(LARGE if number % 5 == 0 else 200_000, SOPInstanceUID=f"2.25.{number + 1}") for number in range(12)
    ]
    outcomes = intake.store_all([receive(intake, file) for file in files])
    assert [outcome.status for outcome in outcomes] == ["Success"] * 12
    stored = dict(sql("SELECT uncompressedHash, uuid FROM AttachedFiles"))
    assert medium.uuids() == set(stored.values())
    for file in files:
        assert everything(intake, stored[hashlib.md5(file).hexdigest()]) == file


@pytest.mark.parametrize("size", [1000, LARGE])
def test_what_was_stored_already_is_not_kept_twice(medium, sql, size):
    intake, file = medium.open_intake(), file_of(size)
    send(intake, file)
    first = only_row(sql)
    assert send(intake, file).status == "AlreadyStored"
    assert medium.uuids() == {first} == {only_row(sql)}


@pytest.mark.parametrize("size", [1000, LARGE])
def test_what_was_overwritten_goes(medium, sql, size):
    intake = medium.open_intake(OverwriteInstances=True)
    send(intake, file_of(size, SOPInstanceUID="2.25.7"))
    again = file_of(size, SOPInstanceUID="2.25.7")
    assert send(intake, again).status == "Success"
    assert medium.uuids() == {only_row(sql)}
    assert everything(intake, only_row(sql)) == again


@pytest.mark.parametrize("size", [1000, LARGE])
def test_what_is_refused_or_left_leaves_nothing(medium, sql, size):
    intake = medium.open_intake()
    with pytest.raises(NotDicom):
        send(intake, os.urandom(size))
    with intake.receive(ORIGIN) as reception:
        reception.write(file_of(size))
    staged = receive(intake, file_of(size))
    staged.attachment.discard()
    assert medium.uuids() == set()


@pytest.mark.parametrize("size", [1000, LARGE])
def test_rows_that_are_refused_leave_nothing(medium, sql, size):
    intake = medium.open_intake()
    staged = receive(intake, file_of(size))
    sql("ALTER TABLE AttachedFiles ADD CONSTRAINT none CHECK (fileType <> 1)")
    [outcome] = intake.store_all([staged])
    assert isinstance(outcome, DatabaseRefused)
    assert medium.uuids() == set()


def test_deleted_ones_go_later_and_once(medium, sql):
    intake = medium.open_intake()
    stored = [send(intake, file_of(size, SOPInstanceUID=f"2.25.{size}")) for size in (1000, 2000, LARGE)]
    delete_resource(intake.database, Level.PATIENT, stored[0].ids.patient)
    assert len(medium.uuids()) == 3
    # When several processes find the time at once
    others = [medium.open_intake() for _ in range(3)]
    threads = [threading.Thread(target=remove_files, args=(other.database, other.storage)) for other in others]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # Then all are gone, and stay so
    assert medium.uuids() == set()
    assert sql("SELECT count(*) FROM cluster.removed_attachments WHERE file_gone_at IS NULL") == [(0,)]


def test_removal_of_what_is_missing_is_no_error(medium):
    storage = medium.open_intake().storage
    missing = str(uuid.uuid4())
    storage.remove(missing)
    assert storage.remove_all([missing, str(uuid.uuid4())])
    with pytest.raises(UnknownResource):
        storage.open(missing)


def test_two_remove_the_same(medium, sql):
    intake = medium.open_intake()
    for number in range(8):
        send(intake, file_of(1000, SOPInstanceUID=f"2.25.{number + 1}"))
    stored = sorted(medium.uuids())
    others = [medium.open_intake().storage for _ in range(4)]
    removed = []
    threads = [threading.Thread(target=lambda area=area: removed.append(area.remove_all(stored))) for area in others]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert removed == [stored] * 4
    assert medium.uuids() == set()


def test_a_large_object_without_a_row_is_seen(database_uri, sql):
    [(orphan,)] = sql("SELECT lo_create(0)")
    assert orphaned_objects(database_uri) == 1
    sql("SELECT lo_unlink(%s::oid)", orphan)
    assert orphaned_objects(database_uri) == 0


@pytest.mark.parametrize("size", [1000, LARGE])
def test_an_attachment_of_a_user_in_both_forms(medium, sql, size):
    intake = medium.open_intake()
    stored = send(intake, file_of(1000))
    slot = Slot(Level.INSTANCE, stored.ids.instance, 1024)
    text = b"0123456789abcdef" * (size // 16)
    incoming = intake.storage.create(1024)
    incoming.write(text)
    attach(
        intake.database,
        intake.storage,
        slot,
        incoming,
        compress=False,
        hashes=True,
        precondition=Precondition(),
        limits=UNLIMITED,
    )
    for form in (Compression.ZLIB_WITH_SIZE, Compression.NONE):
        change_form(intake.database, intake.storage, slot, form, hashes=True)
        present = read_attachment(intake.database, slot).bytes
        assert present.compression == form
        assert is_intact(intake.storage, present)
        with intake.storage.open(present.uuid) as file:
            assert b"".join(content(file, present)) == text
    remove_files(intake.database, intake.storage)
    assert medium.uuids() == {row for (row,) in sql("SELECT uuid FROM AttachedFiles")}
    assert len(medium.uuids()) == 2


def test_compression(medium, sql):
    intake, file = medium.open_intake(StorageCompression=True), make_file(PixelData=bytes(LARGE))
    send(intake, file)
    [(stored, stored_size)] = sql("SELECT uuid, compressedSize FROM AttachedFiles")
    assert len(everything(intake, stored)) == stored_size < LARGE / 100
    assert medium.uuids() == {stored}


@pytest.fixture
def proxy(database_uri):
    parts = psycopg.conninfo.conninfo_to_dict(database_uri)
    with Proxy(parts["host"], int(parts["port"])) as proxy:
        proxy.uri = (
            f"postgresql://{parts['user']}:{parts['password']}@127.0.0.1:{proxy.port}/{parts['dbname']}?sslmode=disable"
        )
        yield proxy


@pytest.mark.parametrize("size", [1000, LARGE])
def test_a_lost_answer_doubles_nothing(medium, sql, proxy, size):
    intake, file = medium.open_intake(proxy.uri), file_of(size)
    staged = receive(intake, file)
    proxy.swallow_answer_after(b"store_instances")
    [outcome] = intake.store_all([staged])
    assert proxy.swallowed.is_set()
    assert outcome.status == "Success"
    assert medium.uuids() == {only_row(sql)}
    assert everything(intake, only_row(sql)) == file


@pytest.mark.parametrize("size", [1000, LARGE])
def test_an_unknown_commit_keeps_the_bytes(medium, sql, proxy, size):
    options = {"postgresql": {"IndexConnectionsCount": 1}, "cluster": {"TransactionTimeBudgetSeconds": 1}}
    intake, file = medium.open_intake(proxy.uri, **options), file_of(size)
    staged = receive(intake, file)
    proxy.swallow_answer_after(b"store_instances")
    proxy.refuse()
    [outcome] = intake.store_all([staged])
    assert isinstance(outcome, CommitUnknown)
    assert everything(medium.open_intake(), only_row(sql)) == file


def test_large_ones_pass_in_bounded_memory(medium, sql):
    intake = medium.open_intake(cluster={"MemoryBudgetMegabytes": 16})
    head, size = make_file(PixelData=bytes(2)), 64 << 20
    file = head[:-6] + size.to_bytes(4, "little")
    tracemalloc.start()
    try:
        with intake.receive(ORIGIN) as reception:
            reception.write(file)
            for _ in range(64):
                reception.write(bytes(1 << 20))
            staged = reception.stage()
        [outcome] = intake.store_all([staged])
        assert outcome.status == "Success"
        received = 0
        with intake.storage.open(only_row(sql)) as opened:
            while piece := opened.read(256 * 1024):
                received += len(piece)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert received == len(file) + size
    assert most < 24 << 20
