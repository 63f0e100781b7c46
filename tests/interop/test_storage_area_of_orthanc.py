"""One storage area in PostgreSQL, used by a real Orthanc with its storage plugin and by our nodes, in turns."""

import hashlib
import os
import subprocess
import sys

import httpx
import psycopg

from tests.integration.storage.conftest import objects_of
from tests.support.dicom import make_file
from tests.support.large_objects import orphaned_objects
from tests.support.nodes import NodeProcess
from tests.support.orthanc import OrthancProcess, orthanc_files
from tests.support.servers import new_database
from workers.local.children import wait_until


def upload(url, number, size):
    file = make_file(SOPInstanceUID=f"2.25.{number}", PixelData=os.urandom(size))
    answer = httpx.post(f"{url}/instances", content=file, timeout=60, trust_env=False)
    assert answer.json()["Status"] == "Success", answer.text
    return answer.json()["ID"], file


def assert_all_are_there(url, files):
    for instance, file in files.items():
        assert httpx.get(f"{url}/instances/{instance}/file", timeout=60, trust_env=False).content == file


def rows_of(uri):
    with psycopg.connect(uri, autocommit=True) as connection:
        return {uuid for (uuid,) in connection.execute("SELECT uuid FROM AttachedFiles")}


def test_each_reads_and_deletes_what_the_other_stored(postgresql, tmp_path):
    with new_database(postgresql) as name:
        uri = postgresql.uri(name)
        orthanc = OrthancProcess("orthanc", tmp_path, orthanc_files(storage=True), uri, tmp_path / "unused")
        files = {}
        # Given an archive of Orthanc's, attachments in PostgreSQL, at a schema that only it writes
        with orthanc:
            files |= dict(upload(orthanc.url, number, size) for number, size in ((1, 2), (2, 50_000), (3, 20 << 20)))
        # When a node of ours takes it over, and stores in both forms
        options = {"PostgreSQL": {"EnableIndex": True, "ConnectionUri": uri, "EnableStorage": True}}
        for is_compressed in (False, True):
            node = NodeProcess(
                f"node-{is_compressed}", tmp_path, uri, tmp_path / "unused", StorageCompression=is_compressed, **options
            )
            with node:
                assert_all_are_there(node.url, files)
                sizes = ((2, 3 << 20), (50_000, 20 << 20))[is_compressed]
                files |= dict(
                    upload(node.url, 10 + number + 2 * is_compressed, size) for number, size in enumerate(sizes)
                )
                # and deletes one of Orthanc's
                gone = next(iter(files))
                del files[gone]
                assert httpx.delete(f"{node.url}/instances/{gone}", trust_env=False).status_code == 200
                assert wait_until(lambda: objects_of(uri) == rows_of(uri), 30)
        # When it goes back to Orthanc
        command = [sys.executable, "-m", "workers", "schema", "downgrade", "--to", "1", "--config", node._file]
        ended = subprocess.run(command, capture_output=True, text=True, check=False)
        assert ended.returncode == 0, ended.stderr
        with orthanc:
            # Then that has everything, byte for byte, and deletes what we stored
            assert_all_are_there(orthanc.url, files)
            assert len(files) == 5
            for instance, file in list(files.items())[1:]:
                md5 = httpx.get(f"{orthanc.url}/instances/{instance}/attachments/dicom/md5", trust_env=False).text
                assert md5 == hashlib.md5(file).hexdigest()
                assert httpx.delete(f"{orthanc.url}/instances/{instance}", trust_env=False).status_code == 200
        assert objects_of(uri) == rows_of(uri)
        assert orphaned_objects(uri) == 0
