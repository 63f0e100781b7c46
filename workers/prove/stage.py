"""The cluster under test: servers, nodes and a worker as processes, with a link that can be broken before each door.

::

    clients → wire → node (DICOM, HTTP) → wire → PostgreSQL
                                        worker → Redis
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from cluster.config import Settings, environment_without_settings, load_settings
from workers.local.children import wait_until
from workers.local.cluster import is_ready
from workers.local.ports import free_ports
from workers.local.postgresql import LocalPostgreSQL
from workers.local.processes import ManagedProcess, Restart, Supervisor
from workers.local.redis_server import LocalRedis
from workers.prove.doors import Door
from workers.prove.wire import Wire, Wires

READY_SECONDS = 120.0
PROGRAM = ("-m", "workers")
"""What Python is told to run as a node or worker; the role and its options follow."""


@dataclass(slots=True)
class Node:
    """One ingest node; `failpoints` are armed at its next start, and gone at the one after."""

    name: str
    process: ManagedProcess
    configuration: Path
    document: dict[str, object]
    http_port: int
    dicom_wire: Wire
    http_wire: Wire
    database_wire: Wire
    failpoints: dict[str, str] | None = None

    @property
    def door(self) -> Door:
        """Where clients reach it: through its wires."""
        return Door(self.dicom_wire.port, self.http_wire.port)

    @property
    def ready(self) -> bool:
        """Whether it says so itself, asked without a wire."""
        return is_ready(self.http_port)

    def configure(self) -> None:
        """Write the configuration of the next start."""
        armed, self.failpoints = self.failpoints, None
        cluster = {"NodeName": self.name, "Failpoints": armed or {}}
        self.configuration.write_text(json.dumps(self.document | {"Cluster": cluster}), "utf-8")

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the node's process group, if it runs."""
        if self.process.pid is not None and self.process.running:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, number)


class Stage:
    """Context manager: everything ready inside the block, nothing left after it (but the files)."""

    def __init__(
        self,
        folder: Path,
        nodes: int,
        report: Callable[[str], None],
        program: Sequence[str] = PROGRAM,
    ) -> None:
        self.folder = folder.absolute()
        self.nodes: list[Node] = []
        self.postgresql = LocalPostgreSQL(self.folder / "postgresql")
        self.redis = LocalRedis(self.folder / "redis")
        self._number = nodes
        self._report = report
        self._program = program
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    @property
    def doors(self) -> list[Door]:
        """Where clients reach the nodes."""
        return [node.door for node in self.nodes]

    @property
    def settings(self) -> Settings:
        """Those of a client that reads database and storage area directly, beside all wires."""
        return load_settings([self._plain], environ={})

    def heal(self) -> bool:
        """Undo every fault and wait; whether all nodes were ready in time."""
        if not self.redis.running:
            self.redis.start()
        if not self.postgresql.running:
            self.postgresql.start()
        for node in self.nodes:
            for wire in (node.dicom_wire, node.http_wire, node.database_wire):
                wire.heal()
        self._wake()
        return wait_until(lambda: all(node.ready for node in self.nodes), READY_SECONDS)

    @contextlib.contextmanager
    def nodes_stopped(self) -> Iterator[None]:
        """All nodes and the worker drained and gone for the block, and started again after it."""
        everyone = [node.process for node in self.nodes] + self._workers
        self._wake()
        try:
            for process in everyone:
                self._supervisor.hold(process)
            with ThreadPoolExecutor(len(everyone)) as threads:
                list(threads.map(ManagedProcess.terminate, everyone))
            yield
        finally:
            for process in everyone:
                self._supervisor.hold(process, held=False)

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command of ours on the archive, beside all wires."""
        argv = [sys.executable, *PROGRAM, *arguments, "--config", str(self._plain)]
        environment = environment_without_settings()
        return subprocess.run(argv, env=environment, capture_output=True, text=True, check=False)

    def _start(self) -> None:
        (self.folder / "logs").mkdir(parents=True, exist_ok=True)
        self._report("starting PostgreSQL and Redis")
        self._stack.callback(self.postgresql.stop)
        self.postgresql.start()
        self._stack.callback(self.redis.stop)
        self.redis.start()
        wires = self._stack.enter_context(Wires())
        self._plain = self._write("orthanc.json", self._document(self.postgresql.port))
        self._supervisor = Supervisor(self._died)
        # First of all on the way down: a node that was stopped for ever would not hear SIGTERM.
        self._stack.callback(self._supervisor.stop)
        self._stack.callback(self._wake)
        for number in range(1, self._number + 1):
            self.nodes.append(self._node(f"node-{number}", wires))
        probes = {"HttpPort": free_ports(1)[0], **self._document(self.postgresql.port)}
        self._workers = [self._process("worker", "worker", self._write("worker.json", probes))]
        for worker in self._workers:
            self._supervisor.start(worker, restart=Restart(longest_pause_seconds=1.0))
        for node in self.nodes:
            self._report(f"waiting for {node.name}")
            node.process.wait_ready(lambda node=node: node.ready, READY_SECONDS)  # type: ignore[misc]

    def _node(self, name: str, wires: Wires) -> Node:
        dicom_port, http_port = free_ports(2)
        database_wire = wires.wire(self.postgresql.port)
        document = self._document(database_wire.port) | {"DicomPort": dicom_port, "HttpPort": http_port}
        configuration = self.folder / f"{name}.json"
        process = self._process(name, "ingest", configuration)
        node = Node(
            name,
            process,
            configuration,
            document,
            http_port,
            wires.wire(dicom_port),
            wires.wire(http_port),
            database_wire,
        )
        node.configure()
        self._supervisor.start(process, restart=Restart(longest_pause_seconds=1.0))
        return node

    def _wake(self) -> None:
        for node in self.nodes:
            node.signal(signal.SIGCONT)

    def _died(self, process: ManagedProcess, what: str) -> None:
        """Told by the supervisor, before it starts the process again."""
        for node in self.nodes:
            if node.process is process and not process.running:
                node.configure()

    def _document(self, database_port: int) -> dict[str, object]:
        uri = self.postgresql.uri().replace(f":{self.postgresql.port}/", f":{database_port}/")
        return {
            "StorageDirectory": str(self.folder / "storage"),
            "CheckRevisions": True,
            "StableAge": 5,
            "PostgreSQL": {
                "EnableIndex": True,
                "ConnectionUri": uri,
                "ConnectionRetryInterval": 1,
                "HousekeepingInterval": 1,
            },
            "Cluster": {"RedisUrl": self.redis.url},
        }

    def _write(self, name: str, document: dict[str, object]) -> Path:
        (self.folder / "storage").mkdir(exist_ok=True)
        file = self.folder / name
        file.write_text(json.dumps(document), "utf-8")
        return file

    def _process(self, name: str, role: str, configuration: Path) -> ManagedProcess:
        argv = [sys.executable, *self._program, role, "--config", str(configuration)]
        return ManagedProcess(
            name, argv, log_path=self.folder / "logs" / f"{name}.log", env=environment_without_settings()
        )
