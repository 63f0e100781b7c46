"""A small pool of PostgreSQL connections for one process.

Invariant: a pooled connection carries no session state that a transaction relies on. What a transaction needs
(isolation level, search_path, lock_timeout) it sets for itself, so that the pool may sit behind PgBouncer in
transaction mode; for the same reason nothing is prepared by name.
"""

import contextlib
import os
import time
from typing import Any, Self

import psycopg
from psycopg_pool import ConnectionPool, PoolTimeout

from cluster import telemetry
from cluster.config import PostgreSQLSettings
from cluster.database.connection import (
    SET_UP_SECONDS,
    connection_options,
    connection_string,
    first_row,
    notice_end,
    require_answer,
)
from cluster.database.outage import Outage
from cluster.database.refusal import explained

_MAX_IDLE_SECONDS = 60
_MAX_LIFETIME_SECONDS = 3600
_DEFAULTS = (
    b"SELECT CASE current_setting('default_transaction_read_only') WHEN 'off'"
    b" THEN current_setting('default_transaction_isolation') ELSE '' END, pg_backend_pid()"
)
_ASK_AFTER_SECONDS = 10.0
"""A connection that was idle for longer is asked whether it is still there: firewalls and proxies forget idle ones."""


class PooledConnection(psycopg.Connection):
    """A connection that knows what a transaction is that nobody began."""

    default_isolation = ""
    """As PostgreSQL spells it, ``read committed`` for example; empty where such a transaction could not write, and
    behind a pooler, where another client may have changed the defaults of the session that comes next."""

    used_at = 0.0
    """When it was made or given back, on the monotonic clock."""


def _look_at_defaults(connection: PooledConnection) -> None:
    isolation, process = first_row(connection, _DEFAULTS, SET_UP_SECONDS)
    # Another process id than that of the handshake: a pooler is between.
    is_direct = int(process or 0) == connection.info.backend_pid
    connection.default_isolation = (isolation or b"").decode() if is_direct else ""
    connection.used_at = time.monotonic()


class Pool:
    """psycopg_pool with this project's settings, bound to the process that opened it."""

    def __init__(self, settings: PostgreSQLSettings) -> None:
        self._last_failure: psycopg.Error | None = None
        self.outage = Outage()
        size = settings.index_connections_count
        self._pool: ConnectionPool[PooledConnection] = ConnectionPool(
            connection_string(settings),
            connection_class=self._remembering_connection_class(),
            kwargs=connection_options(settings),
            min_size=0 if settings.use_dynamic_connection_pool else size,
            max_size=size,
            open=False,
            configure=_look_at_defaults,
            # `take` looks itself, as psycopg_pool would pause after each broken connection that it finds.
            check=None,
            max_idle=_MAX_IDLE_SECONDS,
            max_lifetime=_MAX_LIFETIME_SECONDS,
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
                connection = self._pool.getconn(timeout=max(min(left, 1.0), 0.01))
            except PoolTimeout as error:
                if self._last_failure is not None:
                    self.outage.failed(str(self._last_failure))
                # Asking again makes the pool connect again if it had given up.
                if left <= 1.0:
                    raise (self._last_failure or error) from error
                continue
            if self._is_sound(connection):
                return connection
            self._pool.putconn(connection)

    def give_back(self, connection: "PooledConnection") -> None:
        """Return a connection; a broken one is replaced, an open transaction rolled back."""
        connection.used_at = time.monotonic()
        if connection.closed:
            telemetry.connections_lost.inc()
        self._pool.putconn(connection)
        statistics = self._pool.get_stats()
        telemetry.pool_connections.labels("open").set(statistics.get("pool_size", 0))
        telemetry.pool_connections.labels("available").set(statistics.get("pool_available", 0))
        telemetry.pool_connections.labels("waiting").set(statistics.get("requests_waiting", 0))

    def _is_sound(self, connection: "PooledConnection") -> bool:
        """A restart of the server leaves as many broken connections as there are: no attempt is lost on them."""
        try:
            notice_end(connection)
            if time.monotonic() - connection.used_at > _ASK_AFTER_SECONDS:
                require_answer(connection)
        except psycopg.OperationalError:
            telemetry.connections_lost.inc()
            with contextlib.suppress(psycopg.Error):
                connection.close()
            return False
        return True

    def _remembering_connection_class(self) -> type["PooledConnection"]:
        """The pool tries in the background and keeps to itself why it fails; an operator wants to know."""
        pool = self

        class Remembering(PooledConnection):
            @classmethod
            def connect(cls, conninfo: str = "", **options: Any) -> Self:
                try:
                    connection = super().connect(conninfo, **options)
                except psycopg.Error as error:
                    telemetry.connection_attempts.labels("failed").inc()
                    if isinstance(error, psycopg.OperationalError):
                        error = explained(error, conninfo)
                    pool._last_failure = error
                    raise error
                pool._last_failure = None
                telemetry.connection_attempts.labels("opened").inc()
                return connection

        return Remembering
