"""The connection on which somebody changes the schema, and another one beside it."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo
from psycopg.rows import TupleRow

from cluster.config import PostgreSQLSettings
from cluster.database.connection import connect
from cluster.database.sqlstate import translate, translating
from cluster.errors import StorageFull


@contextmanager
def direct_connection(settings: PostgreSQLSettings) -> Iterator[psycopg.Connection[TupleRow]]:
    """A direct connection in autocommit mode; inside the block libpq's errors become ours.

    Raises:
        ClusterError: what the server or the network said, as `cluster.database.sqlstate` understands it.
    """
    with translating(), connect(settings) as connection:
        yield connection


@contextmanager
def all_or_nothing(connection: psycopg.Connection[TupleRow]) -> Iterator[None]:
    """The one transaction of a change that happens as a whole.

    Raises:
        StorageFull: there was no room on the server's disk; says that nothing was changed.
    """
    try:
        with connection.transaction():
            yield
    except psycopg.errors.DiskFull as error:
        raise StorageFull(f"{translate(error)}. Nothing was changed") from error


@contextmanager
def changed_settings(connection: psycopg.Connection[TupleRow], **values: str) -> Iterator[None]:
    """Settings of a session in autocommit mode for the block; what they were is what the session began with."""
    for name, value in values.items():
        connection.execute("SELECT set_config(%s, %s, false)", (name, value))
    try:
        yield
    finally:
        if not connection.closed:
            for name in values:
                connection.execute(sql.SQL("RESET {}").format(sql.Identifier(name)))


_SHARED_SETTINGS = (
    "search_path",
    "lock_timeout",
    "statement_timeout",
    "idle_in_transaction_session_timeout",
    "synchronous_commit",
    "client_connection_check_interval",
    "client_min_messages",
    "jit",
    "max_parallel_workers_per_gather",
)


def same_server(session: psycopg.Connection[TupleRow]) -> psycopg.Connection[TupleRow]:
    """A second connection of whoever has `session`: same server, user, database and settings; autocommit."""
    info = session.info
    # Of several hosts the one that `session` has found, as another one may be a standby.
    place = make_conninfo(
        info.dsn, host=info.host, port=info.port, password=info.password, hostaddr=info.hostaddr or None
    )
    settings = session.execute(
        "SELECT name, current_setting(name, true) FROM unnest(%s::text[]) AS s (name)", (list(_SHARED_SETTINGS),)
    ).fetchall()
    connection = psycopg.connect(place, autocommit=True, prepare_threshold=session.prepare_threshold)
    # Some are unknown to older servers.
    names, values = zip(*((name, value) for name, value in settings if value is not None), strict=True)
    connection.execute(
        "SELECT set_config(name, value, false) FROM unnest(%s::text[], %s::text[]) AS s (name, value)",
        (list(names), list(values)),
    )
    return connection
