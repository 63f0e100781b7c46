"""A node's way in, and what it leaves in the database, for tests of parts of a node."""

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from cluster.ingest.intake import Intake, open_intake
from tests.support.settings import settings_for


@pytest.fixture
def connection(database_uri: str) -> Iterator[psycopg.Connection]:
    """To the database of the test, in autocommit mode."""
    with psycopg.connect(database_uri, autocommit=True) as connection:
        yield connection


@pytest.fixture
def intake(database_uri: str, storage_directory: Path) -> Iterator[Intake]:
    """Into the database and the storage area of the test."""
    intake = open_intake(settings_for(database_uri, storage_directory))
    yield intake
    intake.close()
