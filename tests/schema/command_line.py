"""A change of the schema as an operator asks for it, and what it left behind."""

import contextlib
import io
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

import psycopg
import pytest

from tests.schema.archive import checksums
from tests.support.catalogue import Catalogue, catalogue
from workers.cli import main
from workers.local.children import wait_until

WAYS = {"offline": ["upgrade", "--offline"], "online": ["upgrade"]}
UPGRADES = [pytest.param(arguments, id=name) for name, arguments in WAYS.items()]
CHANGES = [*UPGRADES, pytest.param(["downgrade", "--to", "4", "--discard"], id="downgrade")]


@dataclass(frozen=True)
class Ended:
    status: int
    stdout: str
    stderr: str


def run_schema(uri: str, *arguments: str) -> Ended:
    """`orthanc-cluster schema …` on that database, in this process."""
    section = {"EnableIndex": True, "ConnectionUri": uri}
    with (
        TemporaryDirectory() as folder,
        contextlib.redirect_stdout(io.StringIO()) as stdout,
        contextlib.redirect_stderr(io.StringIO()) as stderr,
        patch.object(sys, "argv", ["orthanc-cluster", "schema", *arguments, "--config", f"{folder}/orthanc.json"]),
    ):
        Path(folder, "orthanc.json").write_text(json.dumps({"PostgreSQL": section}), "utf-8")
        try:
            main()
            status = 0
        except SystemExit as end:
            status = end.code
        return Ended(status, stdout.getvalue(), stderr.getvalue())


def uri_of(connection: psycopg.Connection, **changes: str) -> str:
    """Where the connection leads, with another user, password or database."""
    info = connection.info
    parts = {"user": info.user, "password": info.password, "dbname": info.dbname} | changes
    return f"postgresql://{parts['user']}:{parts['password']}@{info.host}:{info.port}/{parts['dbname']}"


@dataclass(frozen=True)
class State:
    """All that a change of the schema could leave behind."""

    structure: Catalogue
    rows: dict[str, str]
    schemas: list[tuple[str]]
    extensions: list[tuple[str]]


def state(connection: psycopg.Connection) -> State:
    structure = catalogue(connection)
    return State(
        structure,
        checksums(connection),
        connection.execute("SELECT nspname::text FROM pg_namespace WHERE nspname !~ '^pg_' ORDER BY 1").fetchall(),
        connection.execute("SELECT extname::text FROM pg_extension ORDER BY 1").fetchall(),
    )


@contextmanager
def nothing_changes(connection: psycopg.Connection) -> Iterator[None]:
    before = state(connection)
    yield
    after = state(connection)
    assert after.structure - before.structure == {}
    assert after == before
    assert not sessions_left(connection)


def sessions_left(connection: psycopg.Connection) -> list[tuple[str]]:
    """What others still do in this database; a command that has ended does nothing any more."""
    query = (
        "SELECT query FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        " AND backend_type = 'client backend'"
    )
    # A backend notices a moment later that its client has gone.
    wait_until(lambda: not connection.execute(query).fetchall(), 5)
    return connection.execute(query).fetchall()
