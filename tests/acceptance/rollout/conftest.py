"""One PostgreSQL server for the rehearsals of a file, because they stop it."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.rollout.haproxy import haproxy_program
from tests.acceptance.rollout.stage import SMALL, Stage
from workers.local.postgresql import LocalPostgreSQL


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalPostgreSQL]:
    """A running server, not durable (fsync off)."""
    with LocalPostgreSQL(tmp_path_factory.mktemp("postgresql"), fast=True) as server:
        yield server


@pytest.fixture
def stage(server: LocalPostgreSQL, tmp_path: Path) -> Stage:
    """An empty database, and a folder of a scenario."""
    haproxy = haproxy_program()
    name = f"rehearsal_{uuid.uuid4().hex}"
    server.create_database(name)
    return Stage(tmp_path, haproxy, server, name, SMALL)
