"""Connections to PostgreSQL: how one is made, and whether one that was idle can still be used."""

import logging
import select
import time
from typing import Any

import psycopg
from psycopg import pq
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from cluster.config import PostgreSQLSettings
from cluster.database.refusal import explained
from cluster.database.verbose_cursor import VerboseCursor
from cluster.errors import DatabaseRefused

_LOG = logging.getLogger(__name__)

# A firewall that forgets connections without a word, or a server whose machine lost its power, must not cost a sender
# more than a part of the retry budget (30 s): whoever does not answer for ten seconds is gone
# (https://www.postgresql.org/docs/current/libpq-connect.html, keepalives_*, tcp_user_timeout in milliseconds).
TCP_KEEP_ALIVE = {
    "connect_timeout": 5,
    "keepalives": 1,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}
ANSWER_SECONDS = 3.0
"""How long an idle connection may take to say that it is still there."""
SET_UP_SECONDS = 5.0
"""How long a new connection may take to answer its first question, as long as libpq may take to make it."""

_BEHIND_A_POOLER = (
    "Cluster.DirectConnectionUri: needed, as PostgreSQL is reached through a pooler that gives each transaction "
    "another server connection (PgBouncer with pool_mode = transaction): set-up lock, upgrades and PostgreSQL.Lock "
    "need a connection of their own, straight to the server"
)


def connection_string(settings: PostgreSQLSettings, *, direct: bool = False) -> str:
    """The libpq connection string with our keep-alives; what the operator's URI says wins over them."""
    own = conninfo_to_dict(settings.direct_conninfo() if direct else settings.conninfo())
    return make_conninfo("", **(TCP_KEEP_ALIVE | own))


def connection_options(settings: PostgreSQLSettings) -> dict[str, Any]:
    """What every connection of ours gets from psycopg; nothing is prepared by name, which a pooler may not know."""
    options: dict[str, Any] = {"autocommit": True, "prepare_threshold": None}
    return options | ({"cursor_factory": VerboseCursor} if settings.enable_verbose_logs else {})


def connect(settings: PostgreSQLSettings) -> psycopg.Connection:
    """One direct connection in autocommit mode, outside any pool: for session-level advisory locks.

    Raises:
        psycopg.Error: as libpq gives it; `cluster.database.sqlstate.translate` says what it means.
        DatabaseRefused: it is no direct one, but led through a pooler in transaction mode.
    """
    string = connection_string(settings, direct=True)
    try:
        connection = psycopg.connect(string, **connection_options(settings))
    except psycopg.OperationalError as error:
        raise explained(error, string) from error
    try:
        # A pooler invents the process id that it gives its clients.
        if _server_process(connection) != connection.info.backend_pid and _shares_server(connection, string):
            raise DatabaseRefused(_BEHIND_A_POOLER)
    except BaseException:
        connection.close()
        raise
    connection.add_notice_handler(_log_warning)
    return connection


def require_answer(connection: psycopg.Connection[Any], seconds: float = ANSWER_SECONDS) -> None:
    """Ask an idle connection for a sign of life, and close it if there is none.

    Raises:
        psycopg.OperationalError: as `first_row`.
    """
    first_row(connection, b"", seconds)


def first_row(connection: psycopg.Connection[Any], statement: bytes, seconds: float) -> list[bytes | None]:
    """The values of the first row of a statement as PostgreSQL writes them; empty if it has none.

    For questions that must not take for ever: psycopg would wait for the answer as long as TCP does, and for ever where
    a proxy between swallows everything.

    Raises:
        psycopg.OperationalError: it was closed by the other end, was refused, or did not answer in time; it is closed.
    """
    try:
        results = _answers(connection.pgconn, statement, time.monotonic() + seconds)
        if results is None:
            raise psycopg.OperationalError(f"the server did not answer for {seconds:g} s")
        for result in results:
            if result.status == pq.ExecStatus.FATAL_ERROR:
                raise psycopg.OperationalError(result.error_message.decode(errors="replace").strip())
            if result.ntuples:
                return [result.get_value(0, column) for column in range(result.nfields)]
        return []
    except psycopg.OperationalError:
        connection.close()
        raise


def notice_end(connection: psycopg.Connection[Any]) -> None:
    """Look, without asking, whether the other end has closed an idle connection; costs one system call.

    Raises:
        psycopg.OperationalError: it has.
    """
    pgconn = connection.pgconn
    # A server that ends says why before it closes: two things to read, or three with TLS.
    for _ in range(4):
        if pgconn.status != pq.ConnStatus.OK:
            raise psycopg.OperationalError("the connection was closed while it was idle")
        if not _readable(pgconn.socket, 0):
            return
        pgconn.consume_input()


def _answers(pgconn: pq.abc.PGconn, statement: bytes, deadline: float) -> list[pq.abc.PGresult] | None:
    """All results of a statement; None if they have not come in time."""
    results: list[pq.abc.PGresult] = []
    pgconn.send_query(statement)
    while True:
        # Before the first result, and before the end of the answer, which may still be on its way.
        while pgconn.flush() or pgconn.is_busy():
            if not _readable(pgconn.socket, deadline - time.monotonic()):
                return None
            pgconn.consume_input()
        result = pgconn.get_result()
        if result is None:
            return results
        results.append(result)


def _readable(file: int, seconds: float) -> bool:
    poll = select.poll()
    poll.register(file, select.POLLIN)
    return bool(poll.poll(max(0, int(seconds * 1000))))


def _shares_server(first: psycopg.Connection[Any], string: str) -> bool:
    """Whether another client can be given the server connection that `first` had a moment ago."""
    with psycopg.connect(string, autocommit=True, prepare_threshold=None) as second:
        for _ in range(5):
            process = _server_process(first)
            with second.transaction():
                if _server_process(second) == process or _server_process(first) != process:
                    return True
    return False


def _server_process(connection: psycopg.Connection[Any]) -> int:
    (process,) = first_row(connection, b"SELECT pg_backend_pid()", SET_UP_SECONDS)
    return int(process or 0)


def _log_warning(diagnostic: psycopg.errors.Diagnostic) -> None:
    """What the server thinks somebody should know."""
    if diagnostic.severity_nonlocalized == "WARNING":
        _LOG.warning("PostgreSQL: %s", diagnostic.message_primary)
