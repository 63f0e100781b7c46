"""A storage area without space: the sender is told, the node is not ready until there is space again, nothing is left.

The node runs in a mount namespace of its own, where its storage directory is a tmpfs of a few megabytes.
"""

import os
import subprocess
from pathlib import Path

import httpx
import psycopg
import pytest
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from tests.support.dicom import make_file
from tests.support.nodes import NodeProcess
from tests.support.servers import skip_or_fail
from workers.local.children import wait_until
from workers.storescu import Association, AssociationRejected

SIZE_MEGABYTES = 8
NAMESPACE = ["unshare", "--mount", *([] if os.geteuid() == 0 else ["--map-root-user"])]


@pytest.fixture
def small_disk(storage_directory: Path) -> list[str]:
    """What a command is started with, to see a small tmpfs where the storage directory is."""
    try:
        subprocess.run([*NAMESPACE, "true"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        skip_or_fail("mounts", "a mount namespace")
    mount = f'mount -t tmpfs -o size={SIZE_MEGABYTES}m none "{storage_directory}" && exec "$@"'
    return [*NAMESPACE, "sh", "-c", mount, "sh"]


def large(number: int) -> bytes:
    return make_file(SOPInstanceUID=f"2.25.{number}", Rows=1024, Columns=1024, PixelData=os.urandom(1 << 21))


def c_store(node: NodeProcess, file: bytes, number: int) -> int:
    data_set = file[file.index(b"\x08\x00\x16\x00") :]  # SOPClassUID is the first element of these files
    contexts = [(CTImageStorage, [ExplicitVRLittleEndian])]
    with Association.request(
        "127.0.0.1",
        node.dicom_port,
        called_aet="ORTHANC",
        calling_aet="SENDER",
        contexts=contexts,
        timeout_seconds=30,
    ) as association:
        return association.store(CTImageStorage, f"2.25.{number}", ExplicitVRLittleEndian, data_set)


def readiness(node: NodeProcess) -> httpx.Response:
    return httpx.get(f"{node.url}/readyz", trust_env=False)


@pytest.mark.parametrize("threshold_kilobytes", [64, 4096])
def test_a_full_disk_is_told_and_recovered_from(
    threshold_kilobytes, small_disk, tmp_path, database_uri, storage_directory
):
    cluster = {"StreamingThresholdKilobytes": threshold_kilobytes}
    postgresql = {"EnableIndex": True, "ConnectionUri": database_uri, "ConnectionRetryInterval": 1}
    node = NodeProcess(
        "node", tmp_path, database_uri, storage_directory, cluster=cluster, prefix=small_disk, PostgreSQL=postgresql
    )
    with node, psycopg.connect(database_uri, autocommit=True) as connection:
        disk = Path(f"/proc/{node.process.pid}/root{storage_directory}")
        # Given a disk that is nearly full of something else
        (disk / "ballast").write_bytes(bytes((SIZE_MEGABYTES - 3) << 20))
        assert httpx.post(f"{node.url}/instances", content=large(1), trust_env=False).status_code == 200
        # When more is sent over DICOM
        assert c_store(node, large(2), 2) == 0xA700
        # Then the node is not ready at once, says why, and takes nobody new
        answer = readiness(node)
        assert answer.status_code == 503
        assert "the storage area is full" in answer.text
        with pytest.raises(AssociationRejected):
            c_store(node, large(3), 3)
        # and there is nothing of what was refused
        files = {path.name for path in disk.rglob("*") if path.is_file()} - {"ballast"}
        assert files == {uuid for (uuid,) in connection.execute("SELECT uuid FROM AttachedFiles")}
        assert len(files) == 1
        # The list of nodes says so too
        reasons = "SELECT reason FROM cluster.nodes WHERE reason LIKE '%%storage area is full%%'"
        assert wait_until(lambda: connection.execute(reasons).fetchall(), 20)
        # When there is space again
        (disk / "ballast").unlink()
        # Then it is ready by itself, and takes what it refused
        assert wait_until(lambda: readiness(node).status_code == 200, 20)
        assert c_store(node, large(2), 2) == 0
        # When it is filled over HTTP, then that is told as well
        (disk / "ballast").write_bytes(bytes((SIZE_MEGABYTES - 5) << 20))
        refused = httpx.post(f"{node.url}/instances", content=large(4), trust_env=False)
        assert refused.status_code == 507
        assert refused.json()["OrthancStatus"] == 19
        assert connection.execute("SELECT count(*) FROM AttachedFiles").fetchone() == (2,)


def test_a_disk_that_others_fill_is_noticed_without_a_sender(small_disk, tmp_path, database_uri, storage_directory):
    postgresql = {"EnableIndex": True, "ConnectionUri": database_uri, "ConnectionRetryInterval": 1}
    with NodeProcess(
        "node", tmp_path, database_uri, storage_directory, prefix=small_disk, PostgreSQL=postgresql
    ) as node:
        disk = Path(f"/proc/{node.process.pid}/root{storage_directory}")
        (disk / "ballast").write_bytes(bytes(SIZE_MEGABYTES << 20))
        assert wait_until(lambda: readiness(node).status_code == 503, 30)
        assert "the storage area is full" in readiness(node).text
        (disk / "ballast").unlink()
        assert wait_until(lambda: readiness(node).status_code == 200, 20)
