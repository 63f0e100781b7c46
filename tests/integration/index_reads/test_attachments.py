"""Where an instance's bytes are."""

import pytest

from cluster.database import Database
from cluster.errors import UnknownResource
from cluster.index.attachments import Compression, dicom_attachment
from tests.integration.index_reads.conftest import Sql, Store


def test_the_dicom_file_of_an_instance(database: Database, store: Store, sql: Sql) -> None:
    ids = store()
    attachment = dicom_attachment(database, ids.instance)
    ((uuid, size, md5),) = sql("SELECT uuid, compressedSize, uncompressedHash FROM AttachedFiles")
    assert (attachment.uuid, attachment.size, attachment.md5) == (uuid, size, md5)
    assert attachment.compression == Compression.NONE


def test_unknown_instance_and_other_levels(database: Database, store: Store, sql: Sql) -> None:
    ids = store()
    for unknown in ("", "x", ids.series):
        with pytest.raises(UnknownResource):
            dicom_attachment(database, unknown)
