"""Processes without clients, a worker or who keeps house, started as an operator would; also as process 1."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest

from workers.local.children import wait_until
from workers.local.ports import free_ports
from workers.local.processes import ManagedProcess

ROOT = Path(__file__).parents[2]


class RoleProcess:
    """`orthanc-cluster ROLE` with its probes on a free port. Context manager: gone after; not awaited before."""

    def __init__(
        self,
        role: str,
        name: str,
        folder: Path,
        database_uri: str,
        storage_directory: Path,
        *,
        cluster: Mapping[str, Any] | None = None,
        arguments: Sequence[str] = (),
        **options: Any,
    ) -> None:
        (port,) = free_ports(1)
        self.url = f"http://127.0.0.1:{port}"
        file = folder / f"{name}.json"
        document = {
            "StorageDirectory": str(storage_directory),
            "HttpPort": port,
            "PostgreSQL": {"EnableIndex": True, "ConnectionUri": database_uri, "ConnectionRetryInterval": 1},
            "Cluster": {"NodeName": name, **(cluster or {})},
        }
        file.write_text(json.dumps(document | options), "utf-8")
        self.log = folder / f"{name}.log"
        argv = [sys.executable, "-m", "workers", role, "--config", str(file), *arguments]
        self.process = ManagedProcess(name, argv, log_path=self.log)

    def get(self, path: str) -> httpx.Response:
        """The answer, once the door is open."""
        answers: list[httpx.Response] = []

        def answered() -> bool:
            try:
                answers.append(httpx.get(self.url + path, timeout=5))
            except httpx.HTTPError:
                assert self.process.running, self.log.read_text("utf-8")
                return False
            return True

        assert wait_until(answered, 60), self.log.read_text("utf-8")
        return answers[-1]

    def wait_ready(self) -> None:
        assert wait_until(lambda: self.get("/readyz").status_code == 200, 60), self.log.read_text("utf-8")

    def metric(self, line: str) -> float:
        """The value of the metric whose name and labels are `line`; 0 where there is none."""
        found = [text for text in self.get("/metrics").text.splitlines() if text.startswith(line + " ")]
        return float(found[0].split()[-1]) if found else 0.0

    def __enter__(self) -> "RoleProcess":
        self.process.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.running:
            self.process.kill()
        print(self.log.read_text("utf-8"))  # pytest shows it for a test that failed


class ProcessOne:
    """The command as process 1 of a PID namespace, as in a container; skips where that is not permitted."""

    def __init__(self, arguments: Sequence[str], log: Path) -> None:
        unshare = shutil.which("unshare")
        probe = [unshare or "false", "--pid", "--fork", "true"]
        if unshare is None or subprocess.run(probe, capture_output=True, check=False).returncode != 0:
            pytest.skip("no PID namespace can be made here")
        command = [unshare, "--pid", "--fork", "--kill-child", sys.executable, "-m", "workers", *arguments]
        self.log = log
        with log.open("ab") as output:
            self._outer = subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=output)

    def signal(self, number: signal.Signals) -> None:
        """To process 1, from outside: only what it has a handler for arrives."""
        children = Path(f"/proc/{self._outer.pid}/task/{self._outer.pid}/children")
        assert wait_until(lambda: bool(children.read_text().split()), 10)
        os.kill(int(children.read_text().split()[0]), number)

    def wait(self, seconds: float) -> int:
        """Its exit status; raises subprocess.TimeoutExpired."""
        return self._outer.wait(seconds)

    def __enter__(self) -> "ProcessOne":
        return self

    def __exit__(self, *_: object) -> None:
        self._outer.kill()
        self._outer.wait()
        print(self.log.read_text("utf-8"))
