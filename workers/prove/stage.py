"""The cluster under test: servers, nodes and a worker as processes, with a link that can be broken before each door.

::

    clients → wire → node (DICOM, HTTP) → wires → PostgreSQL ⇉ standby
                     worker             → wires → Redis
    importers ────────────────────────────────→ both
    guest (a real Orthanc) ───────────────────→ PostgreSQL

What only some faults need is there only for them.
"""

import contextlib
import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from cluster.config import Settings, environment_without_settings, load_settings
from workers.local.children import wait_until
from workers.local.ports import free_ports
from workers.local.postgresql import LocalPostgreSQL
from workers.local.processes import ManagedProcess, Restart, Supervisor
from workers.local.redis_server import LocalRedis
from workers.prove.databases import Databases
from workers.prove.doors import Door
from workers.prove.equipment import Equipment, SmallDisk
from workers.prove.guest import Guest
from workers.prove.members import Member
from workers.prove.wire import Wire, Wires
from workers.prove.wrong_clock import Clock

READY_SECONDS = 120.0
PROGRAM = ("-m", "workers")
"""What Python is told to run as a node; the role and its options follow."""
HASTY_WORKER = ("-m", "workers.prove.hasty_worker")


class Stage:
    """Context manager: everything ready inside the block, nothing left after it (but the files)."""

    def __init__(
        self,
        folder: Path,
        nodes: int,
        report: Callable[[str], None],
        program: Sequence[str] = PROGRAM,
        equipment: Equipment | None = None,
    ) -> None:
        self.folder = folder.absolute()
        self.nodes: list[Member] = []
        self.workers: list[Member] = []
        self.equipment = equipment or Equipment()
        self.databases = Databases(self.folder, with_standby=self.equipment.standby)
        self.redis = LocalRedis(self.folder / "redis")
        self.guest: Guest | None = None
        self.disk: SmallDisk | None = None
        self.refusals: Callable[[], int] = lambda: 0
        """How often clients were told that there is no space."""
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

    @property
    def postgresql(self) -> LocalPostgreSQL:
        """The one that takes writes."""
        return self.databases.primary

    @property
    def members(self) -> list[Member]:
        """Nodes and workers."""
        return self.nodes + self.workers

    def heal(self) -> bool:
        """Undo every fault and wait; whether everybody was ready in time."""
        if not self.redis.running:
            self.redis.start()
        self.databases.start()
        for member in self.members:
            for wire in member.links.values():
                wire.heal()
            if member.clock is not None:
                member.clock.set(0)
        self._wake()
        return wait_until(lambda: all(member.ready for member in self.members), READY_SECONDS)

    @contextlib.contextmanager
    def nodes_stopped(self) -> Iterator[None]:
        """All nodes and the worker drained and gone for the block, and started again after it."""
        everyone = [member.process for member in self.members]
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
        storage = self.folder / "storage"
        storage.mkdir(exist_ok=True)
        if self.equipment.small_disk_bytes:
            self.disk = self._stack.enter_context(
                SmallDisk(self.folder / "disk", storage, self.equipment.small_disk_bytes)
            )
        self._report("starting PostgreSQL and Redis")
        self._stack.callback(self.databases.stop)
        self.databases.start()
        self._stack.callback(self.redis.stop)
        self.redis.start()
        self._wires = self._stack.enter_context(Wires())
        self._plain = self.folder / "orthanc.json"
        ports = [server.port for server in self.databases.servers]
        self._plain.write_text(json.dumps(self._document(ports, self.redis.url)), "utf-8")
        self._supervisor = Supervisor(self._died)
        # First of all on the way down: a process that was stopped for ever would not hear SIGTERM.
        self._stack.callback(self._supervisor.stop)
        self._stack.callback(self._end_workers)
        self._stack.callback(self._wake)
        if self.equipment.orthanc is not None:
            self.guest = Guest(self.folder, self.equipment.orthanc, storage)
            self._stack.callback(self.guest.stop)
        for number in range(1, self._number + 1):
            # One node's clock can be wrong: the others are what it is wrong against.
            has_clock = self.equipment.clocks and number == self._number
            self.nodes.append(self._node(f"node-{number}", has_clock=has_clock))
        if self.equipment.importers:
            self.workers.append(self._worker())
        for member in self.members:
            self._report(f"waiting for {member.name}")
            member.process.wait_ready(lambda member=member: member.ready, READY_SECONDS)  # type: ignore[misc]

    def _node(self, name: str, *, has_clock: bool) -> Member:
        dicom_port, http_port = free_ports(2)
        links = self._links() | {"DICOM": self._wires.wire(dicom_port), "HTTP": self._wires.wire(http_port)}
        return self._member(name, (*self._program, "ingest"), {"DicomPort": dicom_port}, http_port, links, has_clock)

    def _worker(self) -> Member:
        return self._member("worker", HASTY_WORKER, {}, free_ports(1)[0], self._links(), self.equipment.clocks)

    def _links(self) -> dict[str, Wire]:
        """Those of one process to what it asks."""
        named = zip(("database", "standby"), self.databases.servers, strict=False)
        links = {name: self._wires.wire(server.port) for name, server in named}
        return links | {"Redis": self._wires.wire(self.redis.socket)}

    def _member(
        self,
        name: str,
        arguments: Sequence[str],
        own: dict[str, Any],
        http_port: int,
        links: dict[str, Wire],
        has_clock: bool,
    ) -> Member:
        ports = [links[each].port for each in ("database", "standby") if each in links]
        document = self._document(ports, f"redis://127.0.0.1:{links['Redis'].port}/0") | {"HttpPort": http_port} | own
        configuration = self.folder / f"{name}.json"
        clock = Clock(self.folder / f"{name}.clock") if has_clock else None
        if clock is not None:
            clock.set(0)
            arguments = ("-m", "workers.prove.wrong_clock", str(clock.file), *arguments[1:])
        process = ManagedProcess(
            name,
            [sys.executable, *arguments, "--config", str(configuration)],
            log_path=self.folder / "logs" / f"{name}.log",
            env=environment_without_settings(),
        )
        member = Member(name, process, configuration, document, http_port, links, clock)
        member.configure()
        self._supervisor.start(process, restart=Restart(longest_pause_seconds=1.0))
        return member

    def _end_workers(self) -> None:
        """At once: the verdict is there, and one whose broker was restarted may take all its time to drain."""
        for worker in self.workers:
            self._supervisor.hold(worker.process)
            worker.process.kill()

    def _wake(self) -> None:
        for member in self.members:
            member.signal(signal.SIGCONT)

    def _died(self, process: ManagedProcess, what: str) -> None:
        """Told by the supervisor, before it starts the process again."""
        for member in self.members:
            if member.process is process and not process.running:
                member.configure()

    def _document(self, database_ports: Sequence[int], redis_url: str) -> dict[str, Any]:
        """A configuration; of two servers the one is meant that takes writes."""
        server, _, database = self.postgresql.uri().rpartition("/")
        hosts = ",".join(f"127.0.0.1:{port}" for port in database_ports)
        uri = f"{server.rpartition('@')[0]}@{hosts}/{database}"
        return {
            "StorageDirectory": str(self.folder / "storage"),
            "CheckRevisions": True,
            "StableAge": 5,
            "PostgreSQL": {
                "EnableIndex": True,
                "ConnectionUri": uri + ("?target_session_attrs=read-write" if len(database_ports) > 1 else ""),
                "ConnectionRetryInterval": 1,
                "HousekeepingInterval": 1,
            },
            "Cluster": {"RedisUrl": redis_url},
        }
