"""The gate of a node whose index is in SQLite: nobody else may have the file, and there is nobody to wait for.

Two locks keep others away, both gone when the process is, however it ends: one of ours on a file beside the index,
taken before anything else is opened, and SQLite's own: a real Orthanc keeps us away with it, and can write nothing
while we have the file open (1.10 starts and fails at each write).
"""

import errno
import fcntl
import logging
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path

from cluster.config import Settings
from cluster.coordinator.readiness import Readiness
from cluster.database.sqlite_connection import FILE_NAME, connect, translate_sqlite
from cluster.errors import DatabaseRefused, LockNotAvailable, StorageFailed
from cluster.schema.sqlite import install_sqlite

_LOG = logging.getLogger(__name__)

LOCK_FILE_NAME = "index.lock"
"""Stays there, empty; only the lock on it means anything."""


class LoneGate(Readiness):
    """Whether this process may receive; readable from any thread. What `Gate` is for PostgreSQL."""

    def __init__(self, settings: Settings, *, on_change: Callable[[bool], None] = lambda is_ready: None) -> None:
        super().__init__(on_change)
        self._settings = settings
        self._lock: int | None = None
        self._session: sqlite3.Connection | None = None

    def stop(self) -> None:
        """Turn not ready for good (draining)."""
        self._stopped.set()
        self._tell_world("draining")

    def wait_until_ready(self) -> bool:
        """Take the index and install what is missing in it; False if `stop` came first.

        Raises:
            DatabaseRefused: another process has the index.
            SchemaMismatch, StorageFailed: waiting would not help.
        """
        self._lock = lock_index(self._settings.index_directory)
        try:
            steps = install_sqlite(self._settings.index_directory, may_upgrade=self._settings.cluster.automatic_upgrade)
            self._session = _keep_open(self._settings.index_directory)
        except LockNotAvailable as error:
            raise _in_use(self._settings.index_directory) from error
        for step in steps:
            _LOG.info("schema: %s", step)
        if not self._stopped.is_set():
            self._tell_world(None)
        return not self._stopped.is_set()

    def keep_watch(self) -> None:
        """Nothing can happen to the index without this process."""
        self._stopped.wait()

    def close(self) -> None:
        """Let others have the index; the last thing that a process does."""
        if self._session is not None:
            self._session.close()
            self._session = None
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def lock_index(index_directory: Path) -> int:
    """Take the index for this process; the lock lasts until the descriptor is closed.

    Raises:
        DatabaseRefused: another process has it.
        StorageFailed: the folder cannot be used.
    """
    try:
        index_directory.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(index_directory / LOCK_FILE_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise StorageFailed(f"IndexDirectory {index_directory} cannot be used: {error.strerror}") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
            raise _in_use(index_directory) from error
        raise StorageFailed(f"IndexDirectory {index_directory} does not support locks: {error.strerror}") from error
    return descriptor


def _keep_open(index_directory: Path) -> sqlite3.Connection:
    """Whoever has read in this mode keeps a shared lock, under which an Orthanc can write nothing."""
    try:
        session = connect(index_directory)
        session.execute("SELECT count(*) FROM GlobalProperties").fetchall()
    except sqlite3.Error as error:
        raise translate_sqlite(error) from error
    return session


def _in_use(index_directory: Path) -> DatabaseRefused:
    return DatabaseRefused(
        f"the SQLite index {index_directory / FILE_NAME} is in use by another process, a node or an Orthanc; it serves "
        "one at a time. Stop that one, or move to PostgreSQL for several nodes (orthanc-cluster migrate)"
    )
