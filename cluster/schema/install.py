"""Brings an empty PostgreSQL schema to revision 10, and our own schema `cluster` to this program's version.

The caller holds the set-up advisory lock. Everything is one transaction, so a killed installer leaves nothing behind.
"""

from collections.abc import Sequence

import psycopg
from psycopg import sql
from psycopg.rows import TupleRow

from cluster.errors import DatabaseRefused, SchemaMismatch
from cluster.schema.revision import REVISION, Finding, observe
from cluster.schema.steps import TRIGRAM, routines, text

INSTALL = "install.sql"
STORAGE_AREA = "storage_area.sql"
CLUSTER = (
    "cluster.sql",
    "cluster_removals.sql",
    "cluster_store_instances.sql",
    "cluster_recycling.sql",
    "cluster_stable.sql",
    "cluster_left_files.sql",
    "cluster_jobs.sql",
    "cluster_storage_area.sql",
    "cluster_offices.sql",
)

CLUSTER_VERSION = 12
"""Version of ``cluster*.sql``; a database that says less gets them again."""


def install(
    connection: psycopg.Connection[TupleRow], schema_name: str, node: str, *, storage_area: bool = False
) -> list[str]:
    """Install what is missing, in one transaction, and return the names of the steps that were done.

    Orthanc's tables if there are none; our own schema if it is absent or older than this program, which running
    nodes of this version do not notice.

    Raises:
        SchemaMismatch: the database is at another revision, or serves another index already.
    """
    steps: list[str] = []
    with connection.transaction():
        connection.execute(sql.SQL("SET LOCAL search_path TO {}").format(sql.Identifier(schema_name)))
        seen = observe(connection, schema_name)
        if seen.finding not in (Finding.EMPTY, Finding.EXACT):
            raise SchemaMismatch(seen.explain(schema_name))
        if seen.finding is Finding.EMPTY:
            for name in (INSTALL, *TRIGRAM, *routines(REVISION)):
                connection.execute(text(name).encode())
            steps.append(f"install revision {REVISION}")
        if storage_area and not has_storage_area(connection, schema_name):
            connection.execute(text(STORAGE_AREA).encode())
            steps.append("install StorageArea")
        steps += install_cluster(connection, schema_name, node, done=steps)
    return steps


def has_storage_area(connection: psycopg.Connection[TupleRow], schema_name: str) -> bool:
    """Whether there are Orthanc's table for large objects and the rule that unlinks them."""
    row = connection.execute(
        "SELECT EXISTS (SELECT FROM pg_rules WHERE schemaname = %s AND tablename = 'storagearea'"
        " AND rulename = 'storageareadelete')",
        (schema_name,),
    ).fetchone()
    return bool(row and row[0])


def install_cluster(
    connection: psycopg.Connection[TupleRow], schema_name: str, node: str, done: Sequence[str] = ()
) -> list[str]:
    """Install our own PostgreSQL schema if it is absent or older than this program, in one transaction.

    Args:
        done: steps that the caller did in the same transaction, for the history.

    Raises:
        SchemaMismatch: the database serves another index already.
    """
    steps: list[str] = []
    with connection.transaction():
        if not cluster_is_current(connection, schema_name):
            for name in CLUSTER:
                try:
                    connection.execute(text(name).encode())
                except psycopg.errors.InsufficientPrivilege as error:
                    info = connection.info
                    raise DatabaseRefused(
                        f'{error.diag.message_primary}: the role "{info.user}" needs to create the PostgreSQL schema '
                        f'"cluster", which holds this program\'s own tables, or own it (GRANT CREATE ON DATABASE '
                        f'"{info.dbname}" TO "{info.user}"). Nothing was changed',
                        error.sqlstate,
                    ) from error
            steps.append(f"install cluster {CLUSTER_VERSION}")
            for name, value in (("version", str(CLUSTER_VERSION)), ("index_schema", schema_name)):
                connection.execute(
                    "INSERT INTO cluster.properties (name, value) VALUES (%s, %s)"
                    " ON CONFLICT (name) DO UPDATE SET value = EXCLUDED.value",
                    (name, value),
                )
        for step in (*done, *steps):
            connection.execute("INSERT INTO cluster.schema_history (step, node) VALUES (%s, %s)", (step, node))
    return steps


def cluster_is_current(connection: psycopg.Connection[TupleRow], schema_name: str) -> bool:
    """Whether our own schema serves this program; it belongs to one index only.

    Raises:
        SchemaMismatch: it belongs to the index in another PostgreSQL schema of the same database.
    """
    row = connection.execute("SELECT to_regclass('cluster.properties') IS NOT NULL").fetchone()
    if not row or not row[0]:
        return False
    properties: dict[str, str] = dict(connection.execute("SELECT name, value FROM cluster.properties").fetchall())
    owner = properties.get("index_schema", schema_name)
    if owner != schema_name:
        raise SchemaMismatch(
            f'PostgreSQL.Schema: this database already serves the index in schema "{owner}"; '
            f'use another database for "{schema_name}"'
        )
    return int(properties.get("version", "0")) >= CLUSTER_VERSION


def install_database(conninfo: str, schema_name: str = "public") -> None:
    """Install everything on a database that nobody else is looking at (test templates)."""
    with psycopg.connect(conninfo, autocommit=True) as connection:
        install(connection, schema_name, "install_database")
