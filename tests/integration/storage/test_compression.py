"""Option StorageCompression: what is stored, what its row says, and that both forms are read beside each other."""

import hashlib
import struct
import zlib
from contextlib import closing

import psycopg
import pytest

from cluster.ingest.intake import open_intake
from cluster.ingest.origin import Origin
from tests.support.dicom import make_file
from tests.support.settings import settings_for

ORIGIN = Origin("RestApi", "", "127.0.0.1", None, "")
COLUMNS = "uuid, compressionType, compressedSize, uncompressedSize, compressedHash, uncompressedHash"


def send(intake, file):
    with intake.receive(ORIGIN) as reception:
        for start in range(0, len(file), 65_536):
            reception.write(file[start : start + 65_536])
        return reception.commit()


def open_with(database_uri, storage_directory, **options):
    return closing(open_intake(settings_for(database_uri, storage_directory, **options)))


@pytest.fixture
def sql(database_uri):
    with psycopg.connect(database_uri, autocommit=True) as connection:
        yield lambda query, *values: connection.execute(query, values).fetchall()


@pytest.mark.parametrize("threshold_kilobytes", [16, 4096])
def test_file_and_row_have_orthancs_form(threshold_kilobytes, database_uri, storage_directory, sql):
    file = make_file(Rows=256, Columns=256, PixelData=bytes(range(256)) * 512)
    cluster = {"StreamingThresholdKilobytes": threshold_kilobytes}
    with open_with(database_uri, storage_directory, StorageCompression=True, cluster=cluster) as intake:
        assert send(intake, file).status == "Success"
    [(uuid, form, stored_size, size, stored_md5, md5)] = sql(f"SELECT {COLUMNS} FROM AttachedFiles")
    # Nothing of the uncompressed bytes is left
    [path] = [path for path in storage_directory.rglob("*") if path.is_file()]
    stored = path.read_bytes()
    assert (path.name, form, stored_size, size) == (uuid, 2, len(stored), len(file))
    assert (stored_md5, md5) == (hashlib.md5(stored).hexdigest(), hashlib.md5(file).hexdigest())
    assert struct.unpack("<Q", stored[:8]) == (len(file),)
    assert zlib.decompress(stored[8:]) == file
    assert len(stored) < len(file)


def test_without_hashes(database_uri, storage_directory, sql):
    options = {"StorageCompression": True, "StoreMD5ForAttachments": False}
    with open_with(database_uri, storage_directory, **options) as intake:
        send(intake, make_file())
    assert sql("SELECT compressedHash, uncompressedHash FROM AttachedFiles") == [("", "")]


def test_what_cannot_be_stored_leaves_nothing(database_uri, storage_directory):
    with open_with(database_uri, storage_directory, StorageCompression=True) as intake:
        file = make_file()
        assert [send(intake, file).status for _ in range(2)] == ["Success", "AlreadyStored"]
    assert len([path for path in storage_directory.rglob("*") if path.is_file()]) == 1


def test_the_limit_of_the_archive_counts_what_is_stored(database_uri, storage_directory, sql):
    # Given room for one megabyte, and instances of one that compress to little
    options = {"StorageCompression": True, "MaximumStorageSize": 1, "MaximumStorageMode": "Reject"}
    with open_with(database_uri, storage_directory, **options) as intake:
        for number in range(3):
            file = make_file(SOPInstanceUID=f"2.25.{number + 1}", Rows=512, Columns=512, PixelData=bytes(1 << 20))
            assert send(intake, file).status == "Success"
    [(total,)] = sql("SELECT sum(compressedSize) FROM AttachedFiles")
    assert total < 1 << 20
