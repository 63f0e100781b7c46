"""Indexes built beside writers (https://www.postgresql.org/docs/current/sql-createindex.html#SQL-CREATEINDEX-CONCURRENTLY).

Such a build is no transaction: when it dies it leaves an INVALID index behind, which costs writers and serves nobody.
It is dropped and built anew.
"""

from typing import cast

import psycopg
from psycopg import sql
from psycopg.rows import TupleRow

from cluster.errors import SchemaMismatch
from cluster.schema.phases import OnlineStep
from cluster.schema.steps import TRIGRAM, text

_TRIGRAM = "dicomidentifiersindexvalues2"
_SHOWN = 5


def build_index(connection: psycopg.Connection[TupleRow], schema_name: str, step: OnlineStep) -> None:
    """Build the index of a step unless a valid one is there.

    Raises:
        SchemaMismatch: two rows have what must be unique; the message names some of them.
    """
    statement = text(step.file)
    if step.index == _TRIGRAM:
        home = _trigram_home(connection)
        if home is None:
            return
        statement = statement.replace("{pg_trgm}", sql.Identifier(home).as_string(None))
    valid = _is_valid(connection, schema_name, step.index)
    if valid:
        return
    if valid is not None:
        drop_index(connection, schema_name, step.index)
    # It waits for transactions that are older than itself, and nobody waits for it meanwhile.
    connection.execute("SET lock_timeout TO 0")
    try:
        connection.execute(statement.encode())
    except psycopg.errors.DiskFull:
        # What did not fit is of no use, and writers need the room.
        drop_index(connection, schema_name, step.index)
        raise
    except psycopg.errors.UniqueViolation as error:
        drop_index(connection, schema_name, step.index)
        raise SchemaMismatch(
            f"the index holds rows that the new revision forbids: {_doubles(connection, schema_name, step)}. "
            "The revision was not changed"
        ) from error


def _is_valid(connection: psycopg.Connection[TupleRow], schema_name: str, index: str) -> bool | None:
    """None if there is no such index."""
    row = connection.execute(
        "SELECT i.indisvalid FROM pg_index i"
        " WHERE i.indexrelid = to_regclass(quote_ident(%s) || '.' || quote_ident(%s))",
        (schema_name, index),
    ).fetchone()
    return bool(row[0]) if row else None


def drop_index(connection: psycopg.Connection[TupleRow], schema_name: str, index: str) -> None:
    """Beside writers too: it waits for transactions that are older than itself, and nobody waits for it."""
    connection.execute("SET lock_timeout TO 0")
    connection.execute(sql.SQL("DROP INDEX CONCURRENTLY IF EXISTS {}").format(sql.Identifier(schema_name, index)))


def _doubles(connection: psycopg.Connection[TupleRow], schema_name: str, step: OnlineStep) -> str:
    table, column = step.reads[0], "publicid" if step.reads[0] == "resources" else "patientid"
    rows = connection.execute(
        sql.SQL(
            "SELECT {column}::text, count(*) FROM {table} GROUP BY 1 HAVING count(*) > 1 ORDER BY 1 LIMIT {n}"
        ).format(column=sql.Identifier(column), table=sql.Identifier(schema_name, table), n=sql.Literal(_SHOWN))
    ).fetchall()
    found = ", ".join(f"{value} {number} times" for value, number in rows)
    return f"in {table}, {column} {found}"


def _trigram_home(connection: psycopg.Connection[TupleRow]) -> str | None:
    """The PostgreSQL schema of pg_trgm, which is installed if the server has it and this role may."""
    connection.execute(text(TRIGRAM[0]).encode())
    row = connection.execute(
        "SELECT n.nspname FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'pg_trgm'"
    ).fetchone()
    return cast(str, row[0]) if row else None
