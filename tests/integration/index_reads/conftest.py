"""A database with instances in it, written as the ingest does."""

import uuid
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from cluster.database import Database
from cluster.dicom.header import read_part10
from cluster.dicom.public_ids import PublicIds
from cluster.index.attached_files import AttachedBytes
from cluster.index.opening import index_of
from cluster.index.store_instances import InstanceRows, store_instances
from cluster.ingest.metadata import metadata_of
from cluster.ingest.origin import Origin
from cluster.storage.filesystem import FilesystemStorageArea
from tests.support.dicom import make_file
from tests.support.indices import connect
from tests.support.settings import settings_for
from workers.housekeeping import Housekeeping

Store = Callable[..., PublicIds]
Sql = Callable[..., list[tuple[Any, ...]]]
Keep = Callable[[float], Housekeeping]


@pytest.fixture
def database(index_uri: str) -> Iterator[Database]:
    """The index of one process."""
    database = index_of(settings_for(index_uri))
    database.open()
    yield database
    database.close()


@pytest.fixture
def sql(index_uri: str) -> Iterator[Sql]:
    """A second session that looks at the tables, or changes them behind everybody's back."""
    with connect(index_uri) as connection:

        def run(query: str, *values: Any) -> list[tuple[Any, ...]]:
            cursor = connection.execute(query, values)
            return cursor.fetchall() if cursor.description else []

        yield run


@pytest.fixture
def store(database: Database) -> Store:
    """Stores one instance, whose DICOM keywords are given, as a batch of its own."""

    def one(**keywords: Any) -> PublicIds:
        rows = instance_rows(**keywords)
        store_instances(database, "Never", [rows])
        return rows.instance.public_ids

    return one


@pytest.fixture
def housekeeping(database: Database, storage_directory: Path) -> Keep:
    """`housekeeping(seconds)` is not started yet; what becomes stable does so after a minute."""
    return lambda seconds: Housekeeping(database, FilesystemStorageArea(storage_directory), seconds, 60)


def instance_rows(**keywords: Any) -> InstanceRows:
    file = make_file(**keywords)
    instance = read_part10(BytesIO(file), len(file))
    metadata = metadata_of(instance, Origin("DicomProtocol", "SENDER", "10.0.0.1", "ORTHANC"))
    return InstanceRows(instance, AttachedBytes.plain(str(uuid.uuid4()), len(file), "0" * 32), metadata)
