"""Rendered containers run: their commands, environment and probes, and those of `helm test`, as local processes.

Ports and paths are this machine's; everything else is what the chart says. What a kubelet does is not tested here.
"""

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.acceptance.chart.rendering import argv, environment, find, pods, scenario, secret_references
from workers.local.ports import free_ports
from workers.local.processes import ManagedProcess

MANIFESTS = scenario("02-cloudnativepg")
USERS = {"uploader": "secret"}


class Host:
    """What a kubelet would give to the pods: mounts, Secrets, addresses."""

    def __init__(self, folder: Path, database_uri: str) -> None:
        self.folder = folder
        self.secrets = {
            ("archive-db-app", "uri"): database_uri,
            ("archive-redis", "redis-url"): "redis://127.0.0.1:1/0",
            ("archive-users", "users.json"): '{"uploader": "secret"}',
        }
        self.dicom, self.http, self.reading = free_ports(3)
        self.configuration = folder / "etc-orthanc"
        self.configuration.mkdir()
        [config_map] = find(MANIFESTS, "ConfigMap", "archive-orthanc-cluster")
        for name, text in config_map["data"].items():
            (self.configuration / name).write_text(text, "utf-8")

    def command(self, container: Mapping[str, Any]) -> list[str]:
        text = [
            it.replace("/etc/orthanc", str(self.configuration))
            .replace("archive-orthanc-cluster-dicom:104", f"127.0.0.1:{self.dicom}")
            .replace("archive-orthanc-cluster-dicom", "127.0.0.1")
            for it in argv(container)
        ]
        # The port alone, as an argument of its own.
        return [str(self.dicom) if it == "104" else it for it in text]

    def environment(self, container: Mapping[str, Any], http_port: int) -> dict[str, str]:
        assert secret_references(container) <= set(self.secrets)
        path = os.pathsep.join((str(Path(sys.executable).parent), os.defpath))
        here = {
            "PATH": path,
            "ORTHANC__DICOM_PORT": str(self.dicom),
            "ORTHANC__HTTP_PORT": str(http_port),
            "ORTHANC__STORAGE_DIRECTORY": str(self.folder),
        }
        return environment(container, self.secrets, "archive-pod") | here

    def ask(self, container: Mapping[str, Any], probe: str, port: int) -> int:
        """The status of a probe; 0 if nobody answers in time."""
        request = container[probe]["httpGet"]
        try:
            return httpx.get(
                f"http://127.0.0.1:{port}{request['path']}", timeout=container[probe]["timeoutSeconds"]
            ).status_code
        except httpx.TransportError:
            return 0


def container_of(owner: str) -> Mapping[str, Any]:
    [pod] = [pod for pod in pods(MANIFESTS) if pod.owner == owner]
    [container] = pod.containers
    return container


INGEST = container_of("Deployment/archive-orthanc-cluster-ingest")
READING = container_of("Deployment/archive-orthanc-cluster-http")


@pytest.fixture
def host(tmp_path: Path, database_uri: str) -> Host:
    return Host(tmp_path, database_uri)


@pytest.fixture
def running(host: Host) -> Iterator[list[ManagedProcess]]:
    processes = []
    for container, port in ((INGEST, host.http), (READING, host.reading)):
        process = ManagedProcess(
            container["name"],
            host.command(container),
            log_path=host.folder / f"{container['name']}.log",
            env=host.environment(container, port),
        )
        process.start()
        processes.append(process)
    yield processes
    for process in processes:
        if process.running:
            process.terminate()


def test_pods_start_and_helm_test_passes(host: Host, running: list[ManagedProcess]) -> None:
    for container, port in ((INGEST, host.http), (READING, host.reading)):
        deadline = time.monotonic() + 60
        while host.ask(container, "startupProbe", port) != 200:
            assert time.monotonic() < deadline, "the start-up probe never passed"
            time.sleep(0.1)
        assert host.ask(container, "livenessProbe", port) == 200
        assert host.ask(container, "readinessProbe", port) == 200

    for test in find(MANIFESTS, "Pod"):
        [container] = test["spec"]["containers"]
        ended = subprocess.run(
            host.command(container),
            env=host.environment(container, host.http),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert ended.returncode == 0, ended.stdout + ended.stderr

    # The HTTP pod reads what the ingest pod took, and has no door for DICOM.
    answer = httpx.get(f"http://127.0.0.1:{host.reading}/instances", auth=("uploader", "secret"))
    assert len(answer.json()) == 1
    assert "DICOM server" not in (host.folder / "http.log").read_text("utf-8")

    # The last thing a kubelet does: preStop, SIGTERM, and an exit in time.
    for container, process in zip((INGEST, READING), running, strict=True):
        assert (
            subprocess.run(["which", container["lifecycle"]["preStop"]["exec"]["command"][0]], check=False).returncode
            == 0
        )
        process.terminate()
        assert process.returncode == 0
