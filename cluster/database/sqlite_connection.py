"""Connections to the index in SQLite, and what SQLite's errors mean.

The file is Orthanc's own (schema/sql/sqlite/). Durability is that of the PostgreSQL index: write-ahead log, and an
fsync before every COMMIT returns (https://www.sqlite.org/pragma.html#pragma_synchronous).
"""

import json
import re
import sqlite3
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote
from uuid import UUID

from cluster.errors import (
    ClusterError,
    DatabaseRefused,
    DatabaseUnavailable,
    LockNotAvailable,
    StorageFull,
)

FILE_NAME = "index"
"""As Orthanc calls it, in IndexDirectory."""

BUSY_SECONDS = 10

SYNCHRONOUS = "FULL"
"""An fsync at every COMMIT."""

_PRAGMAS = (
    "PRAGMA foreign_keys = ON",
    "PRAGMA recursive_triggers = ON",  # a resource that loses its last child takes its parents along
    "PRAGMA case_sensitive_like = ON",
    "PRAGMA cache_size = -16000",  # KiB
)

# Orthanc's triggers call these, which live in the program and not in the file: there must be something of the name.
_SIGNALS = ("SignalFileDeleted", "SignalResourceDeleted", "SignalRemainingAncestor")

# Who deletes a row of AttachedFiles leaves its UUID, in the same transaction (schema/sql/sqlite/cluster.sql). Of the
# connection and not of the file, where another program would find it.
_REMEMBER_REMOVED = """
CREATE TEMP TRIGGER remember_removed AFTER DELETE ON main.AttachedFiles BEGIN
    INSERT OR IGNORE INTO cluster_removed_attachments (uuid, row_gone_at)
    VALUES (old.uuid, CAST(strftime('%s', 'now') AS INTEGER));
END"""

BEFORE_COMMIT = "DELETE FROM DeletedFiles"
"""What Orthanc's own trigger leaves there is for Orthanc's own next step, which is not taken."""

_INTEGER = re.compile(r" *[+-]?[0-9]+ *", re.ASCII)
_NUMBER = re.compile(r" *[+-]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][+-]?[0-9][0-9]?[0-9]?)? *", re.ASCII)

# A column that is called "name [json]" comes as what the JSON says, one called "name [bool]" as a truth value, and
# seconds since 1970 as a time if the column is called "name [time]".
sqlite3.register_converter("json", json.loads)
sqlite3.register_converter("uuid", lambda text: UUID(text.decode()))
sqlite3.register_converter("bool", lambda text: text != b"0")
sqlite3.register_converter("time", lambda text: datetime.fromtimestamp(float(text), UTC))


def connect(index_directory: Path, *, read_only: bool = False, exists: bool = True) -> sqlite3.Connection:
    """A connection in autocommit mode, to be used by one thread at a time.

    Args:
        exists: whether a missing file is an error; else it is created, empty.

    Raises:
        sqlite3.Error: `translate_sqlite` says what it means.
    """
    mode = "ro" if read_only else "rw" if exists else "rwc"
    connection = sqlite3.connect(
        f"file:{quote(str((index_directory / FILE_NAME).absolute()))}?mode={mode}",
        uri=True,
        timeout=BUSY_SECONDS,
        isolation_level=None,
        detect_types=sqlite3.PARSE_COLNAMES,
        check_same_thread=False,
        cached_statements=256,
    )
    # What another program wrote need not be UTF-8.
    connection.text_factory = _text
    for pragma in (*_PRAGMAS, f"PRAGMA synchronous = {SYNCHRONOUS}"):
        connection.execute(pragma)
    for signal in _SIGNALS:
        connection.create_function(signal, -1, lambda *_: None)
    for name, function in (("unicode_lower", _lower), ("integer_of", _integer), ("number_of", _number)):
        connection.create_function(name, 1, function, deterministic=True)
    return connection


def connect_writer(index_directory: Path) -> sqlite3.Connection:
    """The connection of the one writer; the schema is there."""
    connection = connect(index_directory)
    connection.execute(_REMEMBER_REMOVED)
    return connection


def translate_sqlite(error: sqlite3.Error) -> ClusterError:
    """What one error of SQLite's means to us (https://www.sqlite.org/rescode.html); the extended code in brackets."""
    name = getattr(error, "sqlite_errorname", "")
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    message = f"the SQLite index says: {error}" + (f" ({name})" if name else "")
    match code:
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return LockNotAvailable(f"{message}: another program has the file open")
        case sqlite3.SQLITE_FULL:
            return StorageFull(f"no space left on the disk of the index: {message}")
        case sqlite3.SQLITE_IOERR | sqlite3.SQLITE_INTERRUPT | sqlite3.SQLITE_PROTOCOL:
            return DatabaseUnavailable(message)
    return DatabaseRefused(message, name or None)


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")


def _lower(text: str | None) -> str | None:
    return None if text is None else text.lower()


def _integer(text: str | None) -> int | float | None:
    if text is None or not _INTEGER.fullmatch(text):
        return None
    number = float(text)
    return int(text) if abs(number) < 1 << 63 else number


def _number(text: str | None) -> float | None:
    return None if text is None or not _NUMBER.fullmatch(text) else float(text)
