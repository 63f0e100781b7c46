"""A bulk import as an operator does it: Redis, a Celery worker, and ``orthanc-cluster import``, all processes."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.ingest.system import System
from cluster.config import environment_without_settings
from workers.local import children
from workers.local.ports import free_ports
from workers.local.processes import ManagedProcess
from workers.local.redis_server import LocalRedis

_SECONDS = 900.0


class ImportFailed(Exception):
    """The command ended with an error; the message is the end of its output."""


@contextmanager
def redis_server(folder: Path) -> Iterator[str]:
    """A Redis for as long as the block; yields its URL for the configuration."""
    with LocalRedis(folder) as redis:
        yield redis.url


@contextmanager
def worker(system: System) -> Iterator[ManagedProcess]:
    """A Celery worker with as many processes as it has unless told otherwise."""
    process = _command(system, "worker", "--http-port", str(free_ports(1)[0]))
    process.start()
    try:
        yield process
    finally:
        process.terminate()


def import_folders(system: System, folders: list[Path]) -> float:
    """Import folders; how many seconds the command took, from its start to its end. Raises ImportFailed."""
    process = _command(system, "import", *map(str, folders))
    began = time.monotonic()
    process.start()
    children.wait_until(lambda: not process.running, _SECONDS)
    seconds = time.monotonic() - began
    if process.returncode != 0:
        process.kill()
        raise ImportFailed(f"{process.describe_end()}; {children.log_tail(process.log_path)}")
    return seconds


def _command(system: System, name: str, *arguments: str) -> ManagedProcess:
    argv = [sys.executable, "-m", "workers", name, "--config", str(system.configuration), *arguments]
    log = system.configuration.with_name(f"{name}.log")
    return ManagedProcess(name, argv, log_path=log, env=environment_without_settings())
