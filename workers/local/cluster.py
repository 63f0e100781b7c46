"""A whole cluster on one machine: what `orthanc-cluster up` starts, watches and stops.

::

    PostgreSQL, Redis (own, unless configured) → coordinator (in each node) → N ingest nodes → Celery worker

Everything lives below one folder, so that a second `up` on it goes on with the same data.
"""

import contextlib
import json
import os
import sys
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from cluster.config import Settings, environment_without_settings, load_document, load_settings
from cluster.errors import ConfigurationError
from workers.local import ports, registry
from workers.local.children import folder_lock
from workers.local.data_folder import CONFIGURATION, ENDPOINTS, settings_of
from workers.local.postgresql import LocalPostgreSQL
from workers.local.processes import ManagedProcess, Restart, Supervisor
from workers.local.redis_server import LocalRedis

READY_SECONDS = 120
# What a local cluster needs and a configuration for a single Orthanc need not say.
_OVERRIDES = {"PostgreSQL": {"EnableIndex": True}}

Report = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says; ports None means the configured ones if they are free, else any."""

    data: Path
    nodes: int = 2
    configuration: Sequence[Path] = ()
    http_port: int | None = None
    dicom_port: int | None = None
    import_processes: int = 2


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Where the cluster can be reached; written to ``endpoints.json``."""

    http: list[str]
    dicom: list[str]
    postgresql: str
    redis: str
    storage: str


class LocalCluster:
    """Context manager: started and ready inside the block."""

    def __init__(self, options: Options, report: Report) -> None:
        self._options = options
        self._report = report
        self._data = options.data.absolute()
        self._stack = contextlib.ExitStack()
        self.nodes: list[ManagedProcess] = []

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
        self._report("stopping")
        self._stack.close()
        self._report("stopped")

    @property
    def configuration(self) -> Path:
        """The configuration that every process of the cluster reads, and other commands may."""
        return self._data / CONFIGURATION

    def _start(self) -> None:
        options = self._options
        settings = load_settings(options.configuration, overrides=_OVERRIDES)
        if settings.postgresql.lock:
            raise ConfigurationError("PostgreSQL.Lock", "must be false: `up` runs several processes on one database")
        self._data.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._stack.enter_context(_only_one(self._data))
        database_uri, redis_url = self._servers(settings)
        self._write_configuration(settings, database_uri, redis_url)
        self.settings = settings_of(self._data)
        dicom = _choose_ports(options.dicom_port, settings.dicom.port, options.nodes, "--dicom-port")
        http = _choose_ports(options.http_port, settings.http.port, options.nodes, "--http-port", taken=dicom)
        self.endpoints = Endpoints(
            http=[f"http://127.0.0.1:{port}" for port in http],
            dicom=[f"127.0.0.1:{port}" for port in dicom],
            postgresql=database_uri,
            redis=redis_url,
            storage=str(self.settings.storage_directory),
        )
        self._start_processes(dicom, http)
        _write_private(self._data / ENDPOINTS, json.dumps(asdict(self.endpoints), indent=2))
        registry.register(self._data, self.endpoints.dicom)
        self._stack.callback(registry.unregister, self._data)
        self._stack.callback((self._data / ENDPOINTS).unlink, missing_ok=True)

    def _servers(self, settings: Settings) -> tuple[str, str]:
        if settings.postgresql.server_given:
            database_uri = settings.postgresql.conninfo()
        else:
            self._report("starting PostgreSQL")
            database_uri = self._stack.enter_context(LocalPostgreSQL(self._data / "postgresql")).uri()
        if "redis_url" in settings.cluster.model_fields_set:
            redis_url = settings.cluster.redis_url.get_secret_value()
        else:
            self._report("starting Redis")
            redis_url = self._stack.enter_context(LocalRedis(self._data / "redis")).url
        return database_uri, redis_url

    def _write_configuration(self, settings: Settings, database_uri: str, redis_url: str) -> None:
        document = load_document(self._options.configuration, overrides=_OVERRIDES)
        if not settings.postgresql.server_given:
            document["PostgreSQL"] = {**document["PostgreSQL"], "ConnectionUri": database_uri}
        document["Cluster"] = {**document.get("Cluster", {}), "RedisUrl": redis_url}
        given = "StorageDirectory" in document
        document["StorageDirectory"] = str(settings.storage_directory if given else self._data / "storage")
        _write_private(self.configuration, json.dumps(document, indent=2))

    def _start_processes(self, dicom: Sequence[int], http: Sequence[int]) -> None:
        supervisor = Supervisor(lambda process, what: self._report(f"{process.name}: {what}"))
        self._stack.callback(supervisor.stop)
        for number, (dicom_port, http_port) in enumerate(zip(dicom, http, strict=True), start=1):
            name = f"node-{number}"
            ports_of_node = ("--dicom-port", str(dicom_port), "--http-port", str(http_port), "--name", name)
            node = self._process(name, "ingest", *ports_of_node)
            supervisor.start(node, restart=Restart())
            self.nodes.append(node)
        for node, port in zip(self.nodes, http, strict=True):
            self._report(f"waiting for {node.name}")
            node.wait_ready(lambda port=port: is_ready(port), READY_SECONDS)  # type: ignore[misc]
        # Probes on a port of its own: HttpPort is the first node's.
        probes = str(ports.free_ports(1)[0])
        options = ("--processes", str(self._options.import_processes), "--http-port", probes, "--name", "worker")
        worker = self._process("worker", "worker", *options)
        supervisor.start(worker, restart=Restart())

    def _process(self, name: str, *arguments: str) -> ManagedProcess:
        argv = [sys.executable, "-m", "workers", *arguments, "--config", str(self.configuration)]
        logs = self._data / "logs"
        logs.mkdir(exist_ok=True)
        return ManagedProcess(name, argv, log_path=logs / f"{name}.log", env=environment_without_settings())


def is_ready(http_port: int) -> bool:
    """Whether the node that listens there says so."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{http_port}/readyz", timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def _choose_ports(asked: int | None, configured: int, count: int, option: str, taken: Sequence[int] = ()) -> list[int]:
    first = asked or configured
    wanted = list(range(first, first + count))
    busy = [port for port in wanted if port in taken or not ports.is_free(port)]
    if not busy:
        return wanted
    if asked:
        raise ConfigurationError(option, f"port {busy[0]} is in use; {count} ports from {first} on are needed")
    return ports.free_ports(count)


@contextlib.contextmanager
def _only_one(data: Path) -> Iterator[None]:
    try:
        with folder_lock(data / "up.lock", timeout_seconds=2):
            yield
    except BlockingIOError as error:
        raise ConfigurationError("--data", f"another `up` runs on {data}") from error


def _write_private(file: Path, text: str) -> None:
    """Whole or not at all, readable by this user only: the text holds passwords."""
    draft = file.with_suffix(".new")
    draft.touch(mode=0o600)
    os.chmod(draft, 0o600)
    draft.write_text(text + "\n", "utf-8")
    draft.replace(file)
