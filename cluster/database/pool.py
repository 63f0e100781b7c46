"""A small pool of PostgreSQL connections for one process.

Invariant: a pooled connection carries no session state that a transaction relies on. What a transaction needs
(isolation level, search_path, lock_timeout) it sets for itself, so that the pool may sit behind PgBouncer in
transaction mode; for the same reason nothing is prepared by name.
"""

import logging
import os
import time
from typing import Any, Self

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg_pool import ConnectionPool, PoolTimeout

from cluster import telemetry
from cluster.config import PostgreSQLSettings

_LOG = logging.getLogger(__name__)

# A firewall that drops an idle connection without a word must not cost a sender more than this
# (https://www.postgresql.org/docs/current/libpq-connect.html, keepalives_*, tcp_user_timeout in milliseconds).
TCP_KEEP_ALIVE = {
    "connect_timeout": 5,
    "keepalives": 1,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}


def connection_string(settings: PostgreSQLSettings) -> str:
    """The libpq connection string with our keep-alives; what the operator's URI says wins over them."""
    own = conninfo_to_dict(settings.conninfo())
    return make_conninfo("", **(TCP_KEEP_ALIVE | own))


def connect(settings: PostgreSQLSettings) -> psycopg.Connection:
    """One direct connection in autocommit mode, outside any pool: for session-level advisory locks.

    Raises:
        psycopg.Error: as libpq gives it; `cluster.database.sqlstate.translate` says what it means.
    """
    connection = psycopg.connect(connection_string(settings), autocommit=True, prepare_threshold=None)
    connection.add_notice_handler(_log_warning)
    return connection


def _log_warning(diagnostic: psycopg.errors.Diagnostic) -> None:
    """What the server thinks somebody should know."""
    if diagnostic.severity_nonlocalized == "WARNING":
        _LOG.warning("PostgreSQL: %s", diagnostic.message_primary)


class PooledConnection(psycopg.Connection):
    """A connection that knows what a transaction is that nobody began."""

    default_isolation = ""
    """As PostgreSQL spells it, ``read committed`` for example; empty where such a transaction could not write."""


def _look_at_defaults(connection: PooledConnection) -> None:
    row = connection.execute(
        "SELECT CASE current_setting('default_transaction_read_only') WHEN 'off'"
        " THEN current_setting('default_transaction_isolation') ELSE '' END"
    ).fetchone()
    connection.default_isolation = row[0] if row else ""


class Pool:
    """psycopg_pool with this project's settings, bound to the process that opened it."""

    def __init__(self, settings: PostgreSQLSettings) -> None:
        self._last_failure: psycopg.Error | None = None
        self._pool: ConnectionPool[PooledConnection] = ConnectionPool(
            connection_string(settings),
            connection_class=self._remembering_connection_class(),
            kwargs={"autocommit": True, "prepare_threshold": None},
            min_size=1,
            max_size=settings.index_connections_count,
            open=False,
            configure=_look_at_defaults,
            # A server restart leaves broken connections behind; finding out costs less than a replayed batch.
            check=None,
            max_idle=60,
            max_lifetime=3600,
            # Give up early and start anew: the pool's own pauses double up to minutes, longer than the outage.
            reconnect_timeout=5,
            num_workers=1,
        )
        self._owner = -1

    def open(self) -> None:
        """Start connecting in the background; never waits for the database.

        To be called after fork: libpq connections do not survive being shared by two processes.
        """
        self._owner = os.getpid()
        self._pool.open(wait=False)

    def close(self) -> None:
        """Close every connection."""
        if self._owner == os.getpid():
            self._pool.close(timeout=2)

    def take(self, timeout_seconds: float) -> "PooledConnection":
        """A connection for one transaction, to be given back with `give_back`.

        Raises:
            psycopg.OperationalError: none became free in time; or why the database could not be reached.
        """
        if self._owner != os.getpid():
            raise RuntimeError("this pool was opened in another process; open it after fork")
        deadline = time.monotonic() + timeout_seconds
        while True:
            left = deadline - time.monotonic()
            try:
                return self._pool.getconn(timeout=max(min(left, 1.0), 0.01))
            except PoolTimeout as error:
                # Asking again makes the pool connect again if it had given up.
                if left <= 1.0:
                    raise (self._last_failure or error) from error

    def give_back(self, connection: "PooledConnection") -> None:
        """Return a connection; a broken one is replaced, an open transaction rolled back."""
        self._pool.putconn(connection)
        statistics = self._pool.get_stats()
        telemetry.pool_connections.labels("open").set(statistics.get("pool_size", 0))
        telemetry.pool_connections.labels("available").set(statistics.get("pool_available", 0))
        telemetry.pool_connections.labels("waiting").set(statistics.get("requests_waiting", 0))

    def _remembering_connection_class(self) -> type["PooledConnection"]:
        """The pool tries in the background and keeps to itself why it fails; an operator wants to know."""
        pool = self

        class Remembering(PooledConnection):
            @classmethod
            def connect(cls, *arguments: Any, **options: Any) -> Self:
                try:
                    connection = super().connect(*arguments, **options)
                except psycopg.Error as error:
                    pool._last_failure = error
                    raise
                pool._last_failure = None
                return connection

        return Remembering
