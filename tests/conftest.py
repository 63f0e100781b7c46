"""Fixtures for all tests: one PostgreSQL and one Redis a session, a database of its own for each test that wants one.

A test that stops, kills or tunes a server starts its own `LocalPostgreSQL` or `LocalRedis`.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.pgbouncer import PgBouncer, everything_through
from tests.support.s3 import S3Server, s3_server
from tests.support.servers import dcmtk_program, new_database
from workers.local.postgresql import LocalPostgreSQL
from workers.local.redis_server import LocalRedis


@pytest.fixture(scope="session")
def postgresql(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalPostgreSQL]:
    """A running server, not durable (fsync off)."""
    with LocalPostgreSQL(tmp_path_factory.mktemp("postgresql"), fast=True) as server, ExitStack() as stack:
        if os.environ.get("TESTS_THROUGH") == "pgbouncer":
            stack.enter_context(everything_through(stack.enter_context(PgBouncer(server)), server))
        yield server


@pytest.fixture(scope="session")
def pgbouncer(postgresql: LocalPostgreSQL) -> Iterator[PgBouncer]:
    """PgBouncer in transaction mode in front of `postgresql`; skips the test where it is not installed."""
    with PgBouncer(postgresql) as bouncer:
        yield bouncer


@pytest.fixture(scope="session", name="redis")
def _redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalRedis]:
    """A running server; `redis.url` is for Celery, `redis.client_url` for redis-py."""
    with LocalRedis(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """A running S3-compatible server with a bucket; skips the test where there is none."""
    with s3_server(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture
def empty_database(postgresql: LocalPostgreSQL) -> Iterator[str]:
    """Connection URI of a database without any table."""
    with new_database(postgresql) as name:
        yield postgresql.uri(name)


@pytest.fixture(scope="session")
def schema_template(postgresql: LocalPostgreSQL) -> Iterator[str]:
    """Name of a database with the installed schema, to be copied and never connected to."""
    from cluster.schema.install import install_database  # only here: tests of other parts do not depend on it

    with new_database(postgresql) as name:
        install_database(postgresql.uri(name))
        yield name


@pytest.fixture
def database_uri(postgresql: LocalPostgreSQL, schema_template: str) -> Iterator[str]:
    """Connection URI of a database with the installed schema and no resource."""
    with new_database(postgresql, schema_template) as name:
        yield postgresql.uri(name)


@pytest.fixture(params=["postgresql", "sqlite"])
def index(request: pytest.FixtureRequest) -> str:
    """Each test that wants an index runs on both; `only_on_postgresql` (tests/support/indices.py) says which do not."""
    return request.param


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an empty index, to be copied."""
    from cluster.schema.sqlite import install_sqlite

    folder = tmp_path_factory.mktemp("sqlite")
    install_sqlite(folder)
    return folder


@pytest.fixture
def index_uri(index: str, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Where an index without any resource is: `settings_for` and `tests.support.indices.connect` take it."""
    if index != "sqlite":
        return request.getfixturevalue("database_uri")
    # Not durable, as the server is here.
    monkeypatch.setattr("cluster.database.sqlite_connection.SYNCHRONOUS", "OFF")
    shutil.copytree(request.getfixturevalue("sqlite_template"), tmp_path / "index")
    return f"sqlite:{tmp_path / 'index'}"


@pytest.fixture
def storage_directory(tmp_path: Path) -> Path:
    """An empty folder for the storage area."""
    folder = tmp_path / "OrthancStorage"
    folder.mkdir()
    return folder


@pytest.fixture(scope="session")
def dcmtk() -> Callable[[str], Path]:
    """`dcmtk("storescu")` is the path of that program, or skips the test."""
    return dcmtk_program
