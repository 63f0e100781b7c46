"""The one table SQLSTATE → error class.

A class of PostgreSQL's (the first two characters) or a single code decides whether a transaction is run again
(https://www.postgresql.org/docs/current/errcodes-appendix.html). What is not in the table is permanent: running an
SQL error again hides it. A test walks `psycopg.errors` and checks that every code falls where it was put on purpose.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from cluster.errors import (
    AccessRefused,
    ClusterError,
    DatabaseRefused,
    DatabaseUnavailable,
    LockNotAvailable,
    ReadOnlyServer,
    SchemaMismatch,
    SerializationConflict,
    StorageFailed,
    StorageFull,
    Transient,
)

TRANSIENT: dict[str, type[ClusterError]] = {
    "08": DatabaseUnavailable,  # connection exception
    "25006": ReadOnlyServer,  # read_only_sql_transaction: the server was demoted, or the pool reached a standby
    "40001": SerializationConflict,
    "40P01": SerializationConflict,  # deadlock_detected
    "53300": DatabaseUnavailable,  # too_many_connections: others will leave
    "55P03": LockNotAvailable,
    "57P01": DatabaseUnavailable,  # admin_shutdown
    "57P02": DatabaseUnavailable,  # crash_shutdown
    "57P03": DatabaseUnavailable,  # cannot_connect_now
}
"""Codes and classes after which the whole unit of work is run again."""

PERMANENT: dict[str, type[ClusterError]] = {
    "08P01": DatabaseRefused,  # protocol_violation: a bug on one of the two sides, not the network
    "OC001": SchemaMismatch,  # ours: the index was brought to another revision (cluster_store_instances.sql)
    "OC002": StorageFull,  # ours: the archive has reached its limits (cluster_recycling.sql)
    "OC003": StorageFailed,  # ours: the file counts as left behind (cluster_left_files.sql)
    "OC004": StorageFailed,  # ours: a large object is gone (cluster_storage_area.sql)
    "53100": StorageFull,  # disk_full, on the database's side
}
"""Codes that are not what their class is, or that have an error class of their own."""

MEANING = {
    "25006": "the server is a standby, or read-only, and takes no writes",
    "53100": "the disk of the database server is full",
}
"""Codes whose own text names the statement or the file, and leaves the operator to guess."""

_ACCESS_REFUSED = re.compile(
    r"authentication failed|no password supplied|no pg_hba\.conf entry|pg_hba\.conf rejects"
    r"|permission denied for database"
    r"|(?:role|database) \".*\" (?:does not exist|is not permitted to log in)|no such (?:user|database)"
    r"|certificate|private key|SSL error: \w+ alert|SSL was required|does not support SSL|SSL connection is required"
    r"|service file|definition of service|requires a valid client certificate|client certificate",
)
"""What keeps us out until somebody changes something, told by the words: libpq gives no SQLSTATE for a connection that
was refused. libpq's own words are English in any process of Python's; a server's may not be (`refusal.py`)."""

_NO_CONNECTION = re.compile(r"^connection (?:failed|is bad): (connection to server .+?) failed: ")

CONNECTION_LOST = "08006"
"""Stands for a lost connection, where libpq gives no SQLSTATE."""


class ConnectionRefused(psycopg.OperationalError):
    """A server answered and let us not in, and `sqlstate` says why."""

    def __init__(self, message: str, sqlstate: str) -> None:
        super().__init__(message)
        self.sqlstate = sqlstate


def error_class(sqlstate: str) -> type[ClusterError]:
    """The error class of a five-character SQLSTATE; the code itself goes before its class."""
    for table in (PERMANENT, TRANSIENT):
        if sqlstate in table:
            return table[sqlstate]
    return TRANSIENT.get(sqlstate[:2], DatabaseRefused)


def translate(error: psycopg.Error) -> ClusterError:
    """What one psycopg error means to us; the original stays reachable as `__cause__` of the raise.

    An OperationalError without SQLSTATE is libpq's word for a connection that could not be made or was lost.
    """
    state = error.sqlstate
    if state is None:
        if isinstance(error, psycopg.OperationalError):
            message = _first_line(error)
            return AccessRefused(message) if _ACCESS_REFUSED.search(message) else DatabaseUnavailable(message)
        return DatabaseRefused(_first_line(error))
    kind = error_class(state)
    if isinstance(error, ConnectionRefused) and not issubclass(kind, Transient):
        # No statement was refused, but everything: a password, a missing database, a right.
        kind = AccessRefused
    meaning = f"{MEANING[state]}: " if state in MEANING else ""
    message = f"{meaning}{_first_line(error)} (SQLSTATE {state})"
    return DatabaseRefused(message, state) if kind is DatabaseRefused else kind(message)


@contextmanager
def translating() -> Iterator[None]:
    """Inside the block libpq's errors become ours."""
    try:
        yield
    except psycopg.Error as error:
        raise translate(error) from error


def _first_line(error: psycopg.Error) -> str:
    # Later lines can hold values of the failing row (DETAIL), which are patients' data.
    diagnostic = error.diag.message_primary or str(error) or type(error).__name__
    # psycopg and libpq both say that it failed, and the reason often does too.
    return _NO_CONNECTION.sub(r"no \1: ", diagnostic.splitlines()[0])
