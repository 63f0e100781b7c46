"""The connection on which somebody changes the schema by hand."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg.rows import TupleRow

from cluster.config import PostgreSQLSettings
from cluster.database.pool import connect
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
