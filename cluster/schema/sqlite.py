"""Brings the index in SQLite to the layout of Orthanc 1.12.8 and newer, and adds our own tables.

The caller has the file for itself. Everything is one transaction, so a killed installer leaves nothing behind.
"""

import sqlite3
from contextlib import closing
from importlib.resources import files
from pathlib import Path

from cluster.database.sqlite_connection import FILE_NAME, connect, translate_sqlite
from cluster.errors import SchemaMismatch, StorageFailed

_SCHEMA = "6"
"""GlobalProperties 1: Orthanc's own number of the schema, which has not changed since 2015."""

_COLUMNS = {
    "Metadata": ("revision INTEGER",),
    "AttachedFiles": ("revision INTEGER", "customData BLOB"),
    "Queues": ("reservedUntil INTEGER DEFAULT NULL",),
}
"""Added by Orthanc 1.12.8 and newer, behind the others."""


def install_sqlite(index_directory: Path, *, may_upgrade: bool = True) -> list[str]:
    """Install or complete what is missing; the names of the steps that were done.

    Args:
        may_upgrade: whether the file of an older Orthanc may be changed (option AutomaticUpgrade).

    Raises:
        SchemaMismatch: the file is something else, or older and must not be changed.
        StorageFailed: the folder cannot be made.
        ClusterError: as `translate_sqlite`.
    """
    file = index_directory / FILE_NAME
    try:
        index_directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageFailed(f"IndexDirectory {index_directory} cannot be made: {error.strerror}") from error
    try:
        with closing(connect(index_directory, exists=False)) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("BEGIN IMMEDIATE")
            steps = _complete(connection, file, may_upgrade)
            connection.execute("COMMIT")
            return steps
    except sqlite3.Error as error:
        raise translate_sqlite(error) from error


def _complete(connection: sqlite3.Connection, file: Path, may_upgrade: bool) -> list[str]:
    steps = []
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if not tables:
        _execute(connection, "install.sql")
        steps.append("install the SQLite index")
    else:
        _refuse_others(connection, tables, file)
    if not _is_new(connection):
        if not may_upgrade and not steps:
            raise SchemaMismatch(
                f"{file} was written by an Orthanc older than 1.12.8, and Cluster.AutomaticUpgrade is false"
            )
        for table in _COLUMNS.keys() & tables:
            _add_columns(connection, table)
        _execute(connection, "newer.sql")
        if not steps:
            steps.append("upgrade the SQLite index to Orthanc 1.12.8")
    _execute(connection, "cluster.sql")
    return steps


def _refuse_others(connection: sqlite3.Connection, tables: set[str], file: Path) -> None:
    row = None
    if "GlobalProperties" in tables:
        row = connection.execute("SELECT value FROM GlobalProperties WHERE property = 1").fetchone()
    if row is None or str(row[0]) != _SCHEMA:
        found = "no index of Orthanc" if row is None else f"at schema {row[0]} of Orthanc"
        raise SchemaMismatch(f"{file} is {found}; version {_SCHEMA} is wanted, which Orthanc 0.9.5 and newer have")


def is_complete(connection: sqlite3.Connection) -> bool:
    """Whether the file has all tables of Orthanc 1.12.8 and newer, and ours."""
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    return "cluster_removed_attachments" in tables and _is_new(connection)


def _is_new(connection: sqlite3.Connection) -> bool:
    """Property 7 tells of the columns; the other parts came one by one."""
    row = connection.execute("SELECT 1 FROM GlobalProperties WHERE property = 7 AND value = '1'").fetchone()
    names = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
    columns = {name for _, name, *_ in connection.execute("PRAGMA table_info(Queues)")}
    return bool(row) and {"Labels", "DeletedFiles", "DicomIdentifiersIndex3"} <= names and "reservedUntil" in columns


def _add_columns(connection: sqlite3.Connection, table: str) -> None:
    present = {name for _, name, *_ in connection.execute(f"PRAGMA table_info({table})")}
    for column in _COLUMNS[table]:
        if column.split()[0] not in present:
            connection.execute(f"ALTER TABLE {table} ADD COLUMN {column}")


def _execute(connection: sqlite3.Connection, name: str) -> None:
    # Not executescript(), which commits first.
    statement = ""
    for line in files("cluster.schema").joinpath("sql", "sqlite", name).read_text("utf-8").splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            connection.execute(statement)
            statement = ""
