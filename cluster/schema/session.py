"""The connection on which somebody changes the schema, and another one beside it."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
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


def same_server(session: psycopg.Connection[TupleRow]) -> psycopg.Connection[TupleRow]:
    """A second connection of whoever has `session`: same server, user, database and search path; autocommit."""
    info = session.info
    # Of several hosts the one that `session` has found, as another one may be a standby.
    place = make_conninfo(
        info.dsn, host=info.host, port=info.port, password=info.password, hostaddr=info.hostaddr or None
    )
    row = session.execute("SELECT current_setting('search_path')").fetchone()
    assert row is not None
    connection = psycopg.connect(place, autocommit=True, prepare_threshold=None)
    connection.execute("SELECT set_config('search_path', %s, false)", row)
    return connection
