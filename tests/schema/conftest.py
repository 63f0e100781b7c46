"""Databases at every revision, empty or with data in them."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psycopg
import pytest

from cluster.schema import batches, by_rank
from cluster.schema.install import install_database
from tests.schema.archive import fill
from tests.support.servers import new_database
from workers.local.postgresql import LocalPostgreSQL

REVISION_01 = (Path(__file__).parent / "sql" / "revision_01.sql").read_text("utf-8")

Connect = Callable[..., psycopg.Connection]


def at_revision(connection: psycopg.Connection, schema_name: str, revision: int) -> None:
    """Make an empty index of that revision: the hand-written one of revision 1, upgraded as far as wanted."""
    from cluster.schema.upgrade import upgrade_offline

    name = psycopg.sql.Identifier(schema_name)
    connection.execute(psycopg.sql.SQL("SET search_path TO {}").format(name))
    connection.execute(REVISION_01)
    if revision == 0:
        connection.execute("DELETE FROM GlobalProperties WHERE property = 4")
    elif revision > 1:
        upgrade_offline(connection, schema_name, "test", revision)


@contextmanager
def _opened(postgresql: LocalPostgreSQL, name: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(postgresql.uri(name), autocommit=True) as connection:
        yield connection


@pytest.fixture(scope="session")
def _templates(postgresql: LocalPostgreSQL) -> Iterator[Callable[[int, bool], str]]:
    made: dict[tuple[int, bool], str] = {}
    with ExitStack() as stack:

        def template(revision: int, filled: bool) -> str:
            if (revision, filled) not in made:
                if filled:
                    name = stack.enter_context(new_database(postgresql, template(revision, False)))
                    with _opened(postgresql, name) as connection:
                        fill(connection, revision)
                else:
                    name = stack.enter_context(new_database(postgresql))
                    with _opened(postgresql, name) as connection:
                        at_revision(connection, "public", revision)
                made[revision, filled] = name
            return made[revision, filled]

        yield template


@pytest.fixture
def index(postgresql: LocalPostgreSQL, _templates: Callable[[int, bool], str]) -> Iterator[Connect]:
    """`index(revision)` is a connection to a new database at that revision, `index(revision, filled=True)` with data;
    `index(None)` one to an empty database, `index(10, fresh=True)` one that was installed at revision 10."""
    with ExitStack() as stack:

        def connect(revision: int | None, *, filled: bool = False, fresh: bool = False) -> psycopg.Connection:
            template = "template1" if revision is None or fresh else _templates(revision, filled)
            name = stack.enter_context(new_database(postgresql, template))
            if fresh:
                install_database(postgresql.uri(name))
            return stack.enter_context(_opened(postgresql, name))

        yield connect


@pytest.fixture
def small_batches(monkeypatch):
    monkeypatch.setattr(batches, "_FIRST_SIZE", 3)
    monkeypatch.setattr(batches, "_LARGEST_SIZE", 3)
    monkeypatch.setattr(by_rank, "_KEYS", 9)
    monkeypatch.setattr(by_rank, "_SMALLEST", 3)
    monkeypatch.setattr(by_rank, "_LARGEST", 3)
