"""The index in SQLite: Orthanc's default, for one process.

Invariants are those of `transaction.py`: whole or not at all, again only where that may help. There is one writer at a
time, which waits here and not in SQLite; readers have connections of their own, each transaction its own snapshot
(https://www.sqlite.org/wal.html), and wait for nobody.
"""

import os
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, LiteralString, TypeVar, cast

import psycopg

from cluster.database.accompanying import ALONE, Accompanying
from cluster.database.sqlite_connection import BEFORE_COMMIT, connect, connect_writer, translate_sqlite
from cluster.database.sqlite_cursor import Procedure, SqliteCursor
from cluster.database.transaction import Database, Row
from cluster.errors import ClusterError, CommitUnknown, DatabaseUnavailable, LockNotAvailable

T = TypeVar("T")

MAXIMUM_READERS = 4
"""Connections that are kept; reading is over before the next one has parsed its request."""

_ATTEMPTS = 5


class SqliteDatabase(Database):
    """A `Database` whose queries are the twins of PostgreSQL's (`sqlite_text.py`).

    Units of work get a `SqliteCursor` for psycopg's: they use no more of it than both have.
    """

    arrays = (list, list)

    def __init__(
        self, index_directory: Path, procedures: Mapping[str, Procedure], *, time_budget_seconds: float = 30.0
    ) -> None:
        """
        Args:
            procedures: by file and name of the query that each stands for, as in ``deletion.sql/delete_resource``.
        """
        self._directory = index_directory
        self._procedures = procedures
        self._time_budget_seconds = time_budget_seconds
        self._attempts = _ATTEMPTS
        self._writing = threading.Lock()
        self._writer: sqlite3.Connection | None = None
        self._readers: queue.LifoQueue[sqlite3.Connection] = queue.LifoQueue(MAXIMUM_READERS)
        self._owner = -1

    def open(self) -> None:
        """Say which process uses the file, after fork; it is opened when it is needed first."""
        self._owner = os.getpid()

    def close(self) -> None:
        """Close every connection, the writer's last: it brings the write-ahead log into the file."""
        while not self._readers.empty():
            self._readers.get_nowait().close()
        with self._writing:
            if self._writer is not None:
                self._writer.close()
                self._writer = None

    def run(
        self,
        name: str,
        work: Callable[[psycopg.Cursor[Row]], T],
        *,
        read_only: bool = False,
        beside: Accompanying = ALONE,
        turns: LiteralString | None = None,
    ) -> T:
        """As `Database.run`; writers take turns in any case."""
        assert not beside, "a storage area in PostgreSQL needs the index there too"

        def attempt(deadline: float) -> T:
            with self._reader() if read_only else self._exclusive(deadline) as connection:
                connection.execute("BEGIN" if read_only else "BEGIN IMMEDIATE")
                cursor = SqliteCursor(connection, self._procedures)
                try:
                    result = work(cast("psycopg.Cursor[Row]", cursor))
                    cursor.close()  # ends a statement whose rows nobody wanted
                    if not read_only:
                        connection.execute(BEFORE_COMMIT)
                except BaseException:
                    _roll_back(connection)
                    raise
                _commit(connection)
                return result

        return self._replay(name, attempt)

    def call(
        self,
        name: str,
        statement: LiteralString,
        values: Any,
        beside: Accompanying = ALONE,
        *,
        turns: LiteralString | None = None,
    ) -> list[Row]:
        """As `Database.call`."""
        return self.run(name, lambda cursor: cursor.execute(statement, values).fetchall(), beside=beside)

    def _failed(self, error: ClusterError) -> None:
        """A file is never away; what is wrong with it is in the error."""

    def _succeeded(self) -> None:
        pass

    @contextmanager
    def _exclusive(self, deadline: float) -> Iterator[sqlite3.Connection]:
        if self._owner != os.getpid():
            raise RuntimeError("this database was opened in another process; open it after fork")
        if not self._writing.acquire(timeout=max(deadline - time.monotonic(), 0.01)):
            raise LockNotAvailable("another thread of this process writes to the SQLite index all the time")
        try:
            if self._writer is None:
                self._writer = connect_writer(self._directory)
            yield self._writer
        finally:
            self._writing.release()

    @contextmanager
    def _reader(self) -> Iterator[sqlite3.Connection]:
        try:
            connection = self._readers.get_nowait()
        except queue.Empty:
            connection = connect(self._directory)
            connection.execute("PRAGMA query_only = ON")
        try:
            yield connection
        except BaseException:
            connection.close()
            raise
        try:
            self._readers.put_nowait(connection)
        except queue.Full:
            connection.close()


def _roll_back(connection: sqlite3.Connection) -> None:
    # After some errors SQLite has done it by itself.
    if connection.in_transaction:
        connection.execute("ROLLBACK")


def _commit(connection: sqlite3.Connection) -> None:
    try:
        connection.execute("COMMIT")
    except sqlite3.Error as error:
        _roll_back(connection)
        meaning = translate_sqlite(error)
        # The end of the transaction may be in the log, and be found there after a crash.
        raise CommitUnknown(str(meaning)) if isinstance(meaning, DatabaseUnavailable) else meaning from error
