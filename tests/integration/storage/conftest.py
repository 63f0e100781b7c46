"""Each storage area behind the same intake, and a look at what is on its medium."""

import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest

from cluster.ingest.intake import Intake, open_intake
from cluster.schema.install import install
from tests.support.large_objects import orphaned_objects
from tests.support.s3 import keys_of
from tests.support.settings import settings_for

ORPHANS = (
    "SELECT count(*) FROM pg_largeobject_metadata m"
    " WHERE NOT EXISTS (SELECT FROM StorageArea s WHERE s.content = m.oid)"
)


@dataclass
class Medium:
    """One storage area: how a node is configured for it, and which attachments are there."""

    name: str
    options: dict[str, Any]
    uuids: Callable[[], set[str]]
    open_intake: Callable[..., Intake] = field(default=lambda **_: pytest.fail("not opened"))


def files_of(storage_directory: Path) -> set[str]:
    return {path.name for path in storage_directory.rglob("*") if path.is_file()}


def objects_of(database_uri: str) -> set[str]:
    """UUIDs in StorageArea; fails if a large object is in no row of it."""
    with psycopg.connect(database_uri, autocommit=True) as connection:
        assert connection.execute(ORPHANS).fetchone() == (0,)
        return {uuid for (uuid,) in connection.execute("SELECT uuid FROM StorageArea")}


def medium_of(request: pytest.FixtureRequest, name: str, database_uri: str, storage_directory: Path) -> Medium:
    if name == "filesystem":
        return Medium(name, {}, lambda: files_of(storage_directory))
    if name == "s3":
        server = request.getfixturevalue("s3")
        root = uuid.uuid4().hex
        options = {"AwsS3Storage": server.options | {"RootPath": root}}
        return Medium(name, options, lambda: {key.partition(".")[0] for key in keys_of(server, root)})
    with psycopg.connect(database_uri, autocommit=True) as connection:
        install(connection, "public", "test", storage_area=True)
    return Medium(name, {"postgresql": {"EnableStorage": True}}, lambda: objects_of(database_uri))


MEDIA: Sequence[str] = ("filesystem", "postgresql", "s3")


@contextmanager
def opened_medium(
    request: pytest.FixtureRequest, name: str, database_uri: str, storage_directory: Path
) -> Iterator[Medium]:
    """The medium, and intakes on it that are closed in the end."""
    opened: list[Intake] = []
    medium = medium_of(request, name, database_uri, storage_directory)

    def open_with(uri: str = database_uri, **options: Any) -> Intake:
        both = medium.options | options
        for section in ("postgresql", "cluster"):
            both[section] = medium.options.get(section, {}) | options.get(section, {})
        opened.append(open_intake(settings_for(uri, storage_directory, **both)))
        return opened[-1]

    medium.open_intake = open_with
    yield medium
    for intake in opened:
        intake.close()
    if name == "postgresql":
        assert orphaned_objects(database_uri) == 0


@pytest.fixture(params=MEDIA)
def medium(request: pytest.FixtureRequest, database_uri: str, storage_directory: Path) -> Iterator[Medium]:
    with opened_medium(request, request.param, database_uri, storage_directory) as medium:
        yield medium
