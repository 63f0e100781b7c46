"""A second session on an index, whichever database holds it, that is spoken to in PostgreSQL's words."""

import re
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from cluster.database import sqlite_connection

LONG_AGO: dict[str, object] = {"postgresql": "2000-01-01", "pgbouncer": "2000-01-01", "sqlite": 0}
"""A time in our own tables."""

INSTANCE = {"postgresql": 3, "sqlite": 4}
"""The level of instances where a test writes it."""

_VIEWS = """
CREATE TEMP VIEW Resources AS SELECT internalId, resourceType - 1 AS resourceType, publicId, parentId
    FROM main.Resources;
CREATE TEMP VIEW Changes AS SELECT seq, changeType, internalId, resourceType - 1 AS resourceType, date
    FROM main.Changes;
CREATE TEMP VIEW AttachedFiles AS SELECT id, fileType, uuid, compressedSize, uncompressedSize, compressionType,
    uncompressedMD5 AS uncompressedHash, compressedMD5 AS compressedHash, revision, customData FROM main.AttachedFiles;
"""

_WRITTEN = re.compile(r"(UPDATE|INSERT INTO|DELETE FROM) (\w+)\b")


class SqliteSession:
    """What tests use of a psycopg connection in autocommit mode; levels are 0 to 3 where they are read."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        connection.executescript(_VIEWS)

    def execute(self, query: str, values: Sequence[Any] = ()) -> sqlite3.Cursor:
        query = _WRITTEN.sub(r"\1 main.\2", query.replace("cluster.", "cluster_")).replace("%s", "?")
        return self._connection.execute(query, values)


def only_on_postgresql(reason: str, *, either_way: bool = False) -> pytest.MarkDecorator:
    """For a test of what only a server, or PostgreSQL, can do or get wrong.

    Args:
        reason: what that is.
        either_way: in a folder whose tests also run through PgBouncer.
    """
    assert reason
    return pytest.mark.parametrize(
        "index", ["postgresql", "pgbouncer"] if either_way else ["postgresql"], indirect=True
    )


def is_sqlite(session: Any) -> bool:
    """Of a session of `connect`."""
    return isinstance(session, SqliteSession)


def seconds_of(session: Any, number: int) -> str:
    """That many seconds, as SQL has them in our own tables."""
    return str(number) if is_sqlite(session) else f"interval '{number} seconds'"


@contextmanager
def connect(index_uri: str) -> Iterator[Any]:
    """A session."""
    if not index_uri.startswith("sqlite:"):
        with psycopg.connect(index_uri, autocommit=True) as connection:
            yield connection
        return
    with closing(sqlite_connection.connect(Path(index_uri.removeprefix("sqlite:")))) as session:
        yield SqliteSession(session)
