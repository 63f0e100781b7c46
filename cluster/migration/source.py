"""The index in SQLite, locked and only read."""

import hashlib
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from cluster.coordinator.lone_gate import lock_index
from cluster.database import Row, queries
from cluster.database.sqlite_connection import FILE_NAME, connect, translate_sqlite
from cluster.errors import ConfigurationError, SchemaMismatch
from cluster.migration.tables import Key, Table
from cluster.schema.sqlite import is_complete

_SQL = queries("cluster.migration", "source.sql")

BATCH = 5_000


class Source:
    """One snapshot of the index, which nobody can change meanwhile."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self.sequences: dict[str, int] = dict(connection.execute(_SQL["sequences"]).fetchall())
        totals = connection.execute("SELECT key, value FROM GlobalIntegers ORDER BY key").fetchall()
        self.fingerprint = hashlib.sha256(repr((sorted(self.sequences.items()), totals)).encode()).hexdigest()
        """Another one after anything was stored, changed or deleted that a migration would have to know of."""

    def rows(self, table: Table, after: Key) -> list[Row]:
        """The next rows behind a key, as PostgreSQL can hold them: it has no character 0."""
        values = {f"k{place}": part for place, part in enumerate(after)} | {"limit": BATCH}
        return [tuple(map(_storable, row)) for row in self._connection.execute(_SQL[table.name], values)]

    def count(self) -> int:
        """Rows of all tables, for a progress bar: those of the properties are left out."""
        names = ("Resources", "MainDicomTags", "DicomIdentifiers", "Metadata", "AttachedFiles", "Labels", "Changes")
        return sum(self._connection.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in names)  # noqa: S608

    def removed(self) -> list[str]:
        """UUIDs of files that are still to be removed."""
        return [uuid for (uuid,) in self._connection.execute(_SQL["removed"])]


@contextmanager
def open_source(index_directory: Path) -> Iterator[Source]:
    """The index in a folder; nobody else has it for as long as the block lasts.

    Raises:
        ConfigurationError: there is none.
        DatabaseRefused: a process has it.
        SchemaMismatch: an Orthanc before 1.12.8 wrote it.
    """
    file = index_directory / FILE_NAME
    if not file.is_file():
        raise ConfigurationError("IndexDirectory", f"there is no SQLite index {file}")
    lock = lock_index(index_directory)
    try:
        with closing(connect(index_directory)) as connection:
            connection.execute("PRAGMA query_only = ON")
            connection.execute("BEGIN")
            if not is_complete(connection):
                raise SchemaMismatch(
                    f"{file} was written by an Orthanc before 1.12.8, or never opened by this program: start "
                    "`orthanc-cluster ingest` on it once, which completes it"
                )
            yield Source(connection)
    except sqlite3.Error as error:
        raise translate_sqlite(error) from error
    finally:
        os.close(lock)


def _storable(value: object) -> object:
    return value.replace("\0", "") if isinstance(value, str) else value
