"""Our cluster as a system under load: nodes started as an operator would, on a database and a folder of their own."""

import json
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.ingest.system import System, new_database
from cluster.config import environment_without_settings
from workers.local.cluster import is_ready
from workers.local.ports import free_ports
from workers.local.postgresql import LocalPostgreSQL
from workers.local.processes import ManagedProcess

NAME = "orthanc-cluster"
READY_SECONDS = 60


@contextmanager
def our_cluster(
    server: LocalPostgreSQL,
    *,
    nodes: int = 1,
    database_uri: str | None = None,
    seen_by_nodes: str | None = None,
    cluster: Mapping[str, Any] | None = None,
    **options: Any,
) -> Iterator[System]:
    """`nodes` ready nodes; all is gone after the block.

    Args:
        database_uri: an existing database of that server instead of a new one.
        seen_by_nodes: ``host:port`` under which nodes reach the server, as that of a proxy.
        cluster: keys of the section Cluster of the configuration.
        options: further top-level keys of it.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ours-")))
        uri = database_uri or stack.enter_context(new_database(server))
        storage = folder / "storage"
        started, files, dicom, http = [], [], [], []
        for number in range(1, nodes + 1):
            name = f"node-{number}"
            dicom_port, http_port = free_ports(2)
            document = {
                "StorageDirectory": str(storage),
                "DicomPort": dicom_port,
                "HttpPort": http_port,
                "PostgreSQL": {"EnableIndex": True, "ConnectionUri": _through(uri, server, seen_by_nodes)},
                "Cluster": {"NodeName": name, **(cluster or {})},
            } | options
            files.append(_written(folder / f"{name}.json", document))
            node = _node(name, files[-1])
            node.start()
            stack.callback(node.terminate)
            started.append(node)
            dicom.append(f"127.0.0.1:{dicom_port}")
            http.append(f"http://127.0.0.1:{http_port}")
        for node, address in zip(started, http, strict=True):
            port = int(address.rpartition(":")[2])
            node.wait_ready(lambda port=port: is_ready(port), READY_SECONDS)
        versions = {NAME: version("orthanc-cluster")}
        yield System(NAME, dicom, http, started, server, uri, storage, files[0], versions)


def _node(name: str, configuration: Path) -> ManagedProcess:
    argv = [sys.executable, "-m", "workers", "ingest", "--config", str(configuration)]
    return ManagedProcess(name, argv, log_path=configuration.with_suffix(".log"), env=environment_without_settings())


def _through(uri: str, server: LocalPostgreSQL, address: str | None) -> str:
    return uri if address is None else uri.replace(f"127.0.0.1:{server.port}", address)


def _written(file: Path, document: Mapping[str, Any]) -> Path:
    file.touch(mode=0o600)
    file.write_text(json.dumps(document), "utf-8")
    return file
