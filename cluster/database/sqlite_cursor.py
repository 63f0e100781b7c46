"""What a unit of work holds in its hand on SQLite: of psycopg's cursor, the part that the index uses."""

import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import timedelta
from typing import Any, Self
from uuid import UUID

from psycopg.types.json import Json, Jsonb

from cluster.database.queries import Query
from cluster.database.sqlite_text import Step, sqlite_text

Row = tuple[Any, ...]
Procedure = Callable[["SqliteCursor", Mapping[str, Any]], list[Row]]
"""Does what a function of PostgreSQL's does, and returns what that would; within the transaction of the cursor."""


class SqliteCursor:
    """Executes queries by their names, each as SQLite wants it told."""

    def __init__(self, connection: sqlite3.Connection, procedures: Mapping[str, Procedure]) -> None:
        self._cursor = connection.cursor()
        self._procedures = procedures
        self._rows: Iterator[Row] | None = None

    @property
    def rowcount(self) -> int:
        """Rows that the last statement changed."""
        return self._cursor.rowcount

    def execute(self, query: object, values: Mapping[str, Any] | None = None) -> Self:
        """Execute a named query, or what was composed of them, with its values by name; lists are JSON to SQLite.

        Raises:
            NotServedHere: the query is for PostgreSQL only.
            sqlite3.Error: what SQLite says.
        """
        values = values or {}
        procedure = self._procedures.get(f"{query.file}/{query.name}") if isinstance(query, Query) else None
        if procedure is not None:
            self._rows = iter(procedure(self, values))
            return self
        self._rows = None
        self._cursor.execute(sqlite_text(query), {name: _bound(value) for name, value in values.items()})
        return self

    def execute_many(self, step: Step, rows: Iterable[Mapping[str, Any]]) -> None:
        """Execute a statement once for each set of values."""
        self._rows = None
        self._cursor.executemany(step, rows)

    def fetchone(self) -> Row | None:
        """The next row; None if there is none."""
        return next(iter(self), None)

    def fetchall(self) -> list[Row]:
        """All rows that are left."""
        return list(self)

    def close(self) -> None:
        """The last statement is over."""
        self._cursor.close()

    def __iter__(self) -> Iterator[Row]:
        return self._cursor if self._rows is None else self._rows


def _bound(value: object) -> object:
    match value:
        case list():
            return json.dumps(value)
        case Json() | Jsonb():
            return json.dumps(value.obj)
        case timedelta():
            return value.total_seconds()
        case UUID():
            return str(value)
    return value
