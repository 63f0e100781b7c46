"""Processes of the product under test, and what they write down of an upgrade."""

import json
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg

from cluster.config import environment_without_settings
from cluster.database.queries import queries
from workers.local import children
from workers.local.processes import ManagedProcess

_SQL = queries("benchmarks", "watch.sql")
_POLL_SECONDS = 0.05

UPGRADE_SECONDS = 3600


@dataclass(frozen=True, slots=True)
class LedgerStep:
    """One step of an online upgrade; times in seconds since the epoch."""

    phase: str
    name: str
    begun_at: float | None
    done_at: float | None
    rows: int
    held_milliseconds: float | None

    @property
    def seconds(self) -> float:
        assert self.begun_at is not None
        assert self.done_at is not None
        return self.done_at - self.begun_at


class UpgradeFailed(Exception):
    """The process ended with an error; the message is the end of its output."""


def configuration(folder: Path, uri: str, **cluster: object) -> Path:
    """A configuration file for processes that work with that database."""
    file = folder / "orthanc.json"
    document = {
        "StorageDirectory": str(folder / "storage"),
        "PostgreSQL": {"EnableIndex": True, "ConnectionUri": uri},
        "Cluster": {"NodeName": "benchmark", **cluster},
    }
    file.touch(mode=0o600)
    file.write_text(json.dumps(document), "utf-8")
    return file


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "workers", *arguments]


@contextmanager
def started(file: Path, *options: str) -> Iterator[ManagedProcess]:
    """`schema upgrade` as a process, which is gone after the block."""
    process = ManagedProcess(
        "schema upgrade",
        command("schema", "upgrade", "--json", "--config", str(file), *options),
        log_path=file.with_suffix(".log"),
        env=environment_without_settings(),
    )
    process.start()
    try:
        yield process
    finally:
        process.kill()


def upgrade(file: Path, *options: str) -> float:
    """Run `schema upgrade` to its end; how many seconds it took."""
    began = time.monotonic()
    with started(file, *options) as process:
        children.wait_until(lambda: not process.running, UPGRADE_SECONDS)
        seconds = time.monotonic() - began
        if process.returncode != 0:
            raise UpgradeFailed(f"{process.describe_end()}; {children.log_tail(process.log_path)}")
    return seconds


def ledger(uri: str) -> list[LedgerStep]:
    """The steps of the last online upgrade; none if there was none."""
    with psycopg.connect(uri, autocommit=True) as connection:
        try:
            return [LedgerStep(*row) for row in connection.execute(_SQL["steps"])]
        except psycopg.errors.UndefinedTable:
            return []


def history(uri: str) -> dict[str, int]:
    """How often each step was done."""
    with psycopg.connect(uri, autocommit=True) as connection:
        return dict(connection.execute(_SQL["history"]).fetchall())


def wait_until_done(uri: str, timeout_seconds: float) -> Sequence[LedgerStep]:
    """Return when nothing is left to do."""
    deadline = time.monotonic() + timeout_seconds
    while True:
        steps = ledger(uri)
        if steps and all(step.done_at is not None for step in steps):
            return steps
        if time.monotonic() > deadline:
            raise TimeoutError(f"not done: {[step.name for step in steps if step.done_at is None]}")
        time.sleep(_POLL_SECONDS)
