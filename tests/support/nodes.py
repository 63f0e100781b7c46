"""Ingest nodes as processes of their own, started as an operator would."""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cluster.config import Settings, load_settings
from tests.support.pgbouncer import direct_connection, through
from workers.local.cluster import is_ready
from workers.local.ports import free_ports
from workers.local.processes import ManagedProcess


class NodeProcess:
    """`orthanc-cluster ingest` on free ports. Context manager: ready inside, gone after."""

    def __init__(
        self,
        name: str,
        folder: Path,
        database_uri: str,
        storage_directory: Path,
        *,
        cluster: Mapping[str, Any] | None = None,
        prefix: Sequence[str] = (),
        **options: Any,
    ) -> None:
        """`prefix` is a command that becomes the node in the end, in surroundings of its own.

        `database_uri` may be ``sqlite:<IndexDirectory>``.
        """
        self.dicom_port, self.http_port = free_ports(2)
        self.url = f"http://127.0.0.1:{self.http_port}"
        self.dicom = f"127.0.0.1:{self.dicom_port}"
        self._file = folder / f"{name}.json"
        index: dict[str, Any] = {"PostgreSQL": {"EnableIndex": True, "ConnectionUri": through(database_uri)}}
        if database_uri.startswith("sqlite:"):
            index = {"IndexDirectory": database_uri.removeprefix("sqlite:")}
        self._document = {
            "StorageDirectory": str(storage_directory),
            "DicomPort": self.dicom_port,
            "HttpPort": self.http_port,
            **index,
        } | options
        self._direct = direct_connection(database_uri)
        self.configure(name, cluster or {})
        argv = [*prefix, sys.executable, "-m", "workers", "ingest", "--config", self._file]
        self.log = folder / f"{name}.log"
        self.process = ManagedProcess(name, argv, log_path=self.log)
        self._name = name

    def configure(self, name: str, cluster: Mapping[str, Any]) -> None:
        """Write the configuration; takes effect at the next start."""
        self._file.write_text(
            json.dumps(self._document | {"Cluster": {"NodeName": name} | self._direct | dict(cluster)}), "utf-8"
        )

    @property
    def settings(self) -> Settings:
        return load_settings([self._file], environ={})

    def start(self) -> None:
        self.process.start()
        self.process.wait_ready(lambda: is_ready(self.http_port), 60)

    def restart_without_failpoints(self) -> None:
        """What Kubernetes does with a dead pod, here with the cause of death removed."""
        self.configure(self._name, {})
        self.start()

    def __enter__(self) -> "NodeProcess":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.running:
            self.process.terminate()
