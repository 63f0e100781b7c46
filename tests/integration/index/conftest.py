"""All of this in PostgreSQL, through PgBouncer in transaction mode too, and in SQLite."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cluster.ingest.intake import Intake, open_intake
from tests.support.indices import connect
from tests.support.pgbouncer import everything_through
from tests.support.settings import settings_for


@pytest.fixture(params=["postgresql", "pgbouncer", "sqlite"])
def index(request: pytest.FixtureRequest) -> Iterator[str]:
    if request.param != "pgbouncer":
        yield request.param
        return
    bouncer, server = request.getfixturevalue("pgbouncer"), request.getfixturevalue("postgresql")
    with everything_through(bouncer, server):
        yield request.param


@pytest.fixture(autouse=True)
def _each(index: str) -> None:
    """For each test of this folder."""


@pytest.fixture
def connection(index_uri: str) -> Iterator[Any]:
    """A second session on the index of the test."""
    with connect(index_uri) as connection:
        yield connection


@pytest.fixture
def intake(index_uri: str, storage_directory: Path) -> Iterator[Intake]:
    """Into the index and the storage area of the test."""
    intake = open_intake(settings_for(index_uri, storage_directory))
    yield intake
    intake.close()
