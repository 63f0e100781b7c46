"""A started system under load, ours or another."""

import os
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import sql

from cluster.config import load_settings
from cluster.database import Database
from workers.local.postgresql import LocalPostgreSQL
from workers.local.processes import ManagedProcess

INSTANCE = 3
"""Orthanc's number of the resource type (interop: enumerations)."""


@dataclass(frozen=True, slots=True)
class System:
    """Where it listens, what it consists of, and what it has stored.

    Attributes:
        dicom: ``host:port`` of each node.
        http: ``http://host:port`` of each node.
        database_uri: past any proxy.
        configuration: the file of its first node; good for other commands of ours (`worker`, `import`).
        versions: of the programs, for the results.
    """

    name: str
    dicom: Sequence[str]
    http: Sequence[str]
    processes: Sequence[ManagedProcess]
    server: LocalPostgreSQL
    database_uri: str
    storage: Path
    configuration: Path
    versions: dict[str, str]

    @property
    def parts(self) -> dict[str, list[int]]:
        """Process ids for `cpu.metered`; the server's whole family counts, so nothing else may use it meanwhile."""
        assert self.server.pid is not None
        product = [process.pid for process in self.processes if process.pid is not None]
        return {"product": product, "postgresql": [self.server.pid]}

    def stored(self) -> int:
        """How many instances the index has; committed ones only."""
        with psycopg.connect(self.database_uri, autocommit=True) as connection:
            row = connection.execute("SELECT count(*) FROM Resources WHERE resourceType = %s", (INSTANCE,)).fetchone()
        assert row is not None
        return int(row[0])


@contextmanager
def new_database(server: LocalPostgreSQL) -> Iterator[str]:
    """An empty database that is dropped afterwards; yields its URI."""
    name = f"benchmark_{uuid.uuid4().hex[:12]}"
    server.create_database(name)
    try:
        yield server.uri(name)
    finally:
        with psycopg.connect(server.uri("postgres"), autocommit=True) as connection:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@contextmanager
def opened(uri: str) -> Iterator[Database]:
    """The index in that database as a node of ours uses it."""
    settings = load_settings([], environ={}, overrides={"PostgreSQL": {"EnableIndex": True, "ConnectionUri": uri}})
    database = Database(settings.postgresql)
    database.open()
    try:
        yield database
    finally:
        database.close()


def settle(server: LocalPostgreSQL) -> None:
    """Pay all debts of what ran before, so that the next measurement does not: dirty pages of the disk and server."""
    with psycopg.connect(server.uri("postgres"), autocommit=True) as connection:
        connection.execute("CHECKPOINT")
    os.sync()
