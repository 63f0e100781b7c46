"""Synthetic archives at revision 1, of any size, loaded as fast as set-based SQL can.

Nothing of a loaded archive reveals how it came about: triggers, indexes, counters, sequences and planner statistics are
those of an archive that grew. Only while it is loaded are indexes missing, triggers off and the server not durable.
"""

import os
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import sql

from benchmarks.archive_shape import INSTANCES, SIZE, block, descriptions
from cluster.database.queries import queries
from workers.local.postgresql import LocalPostgreSQL

REVISION_01 = Path(__file__).parents[1] / "tests" / "schema" / "sql" / "revision_01.sql"

_SQL = queries("benchmarks", "archive.sql")
_INDEX = re.compile(r"^create index \w+ on (\w+) .*?;$", re.MULTILINE)
_LOADS = (  # the longest first, as two are loaded at a time
    ("MainDicomTags", "main_dicom_tags"),
    ("DicomIdentifiers", "dicom_identifiers"),
    ("Metadata", "metadata"),
    ("Resources", "resources"),
    ("AttachedFiles", "attached_files"),
)
_RELAXED = {
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    # A table that is filled by the transaction that emptied it needs no write-ahead log.
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_wal_size": "16GB",
    "checkpoint_timeout": "1h",
    "maintenance_work_mem": "1GB",
    "autovacuum": "off",
}

WORTH_RESTARTS = 50_000
"""Smaller archives are loaded sooner than the server has taken other settings."""

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Archive:
    """How large; whole blocks only."""

    instances: int

    @classmethod
    def of_at_least(cls, instances: int) -> "Archive":
        return cls(-(-instances // INSTANCES) * INSTANCES)

    @property
    def database(self) -> str:
        """Name of the database that others are copied from, and nobody works with."""
        return f"archive_{self.instances}"

    @property
    def resources(self) -> int:
        return self.instances // INSTANCES * SIZE

    @property
    def parents(self) -> int:
        """Patients, studies and series: the resources that have children."""
        return self.resources - self.instances


def prepare(server: LocalPostgreSQL, archive: Archive, tell: Tell = lambda text: None) -> None:
    """Make the archive's database unless it is there; restarts the server for a large one.

    It gets its name when it is complete, so an interrupted load is begun again.
    """
    unfinished = f"{archive.database}_unfinished"
    if archive.database in databases(server):
        return
    drop(server, unfinished)
    with _relaxed(server) if archive.instances > WORTH_RESTARTS else nullcontext():
        server.create_database(unfinished)
        _load(server.uri(unfinished), archive, tell)
    _administrate(server, "ALTER DATABASE {} RENAME TO {}", unfinished, archive.database)


@contextmanager
def copy(server: LocalPostgreSQL, template: str, name: str) -> Iterator[str]:
    """A copy of a database for the block, as large on the disk as the template; yields its URI."""
    drop(server, name)
    with psycopg.connect(server.uri("postgres"), autocommit=True) as connection:
        # From 15 on the default writes every page to the write-ahead log too.
        strategy = " STRATEGY file_copy" if connection.info.server_version >= 150000 else ""
    _administrate(server, f"CREATE DATABASE {{}} TEMPLATE {{}}{strategy}", name, template)
    try:
        yield server.uri(name)
    finally:
        drop(server, name)


def drop(server: LocalPostgreSQL, name: str) -> None:
    """Whoever is connected to it loses the connection."""
    _administrate(server, "DROP DATABASE IF EXISTS {} WITH (FORCE)", name)


def databases(server: LocalPostgreSQL) -> set[str]:
    with psycopg.connect(server.uri("postgres"), autocommit=True) as connection:
        return {name for (name,) in connection.execute("SELECT datname FROM pg_database")}


def _administrate(server: LocalPostgreSQL, statement: str, *names: str) -> None:
    with psycopg.connect(server.uri("postgres"), autocommit=True) as connection:
        connection.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))


@contextmanager
def _relaxed(server: LocalPostgreSQL) -> Iterator[None]:
    """Not durable for the block; afterwards all is on the disk and the settings are what they were."""
    with psycopg.connect(server.uri("postgres"), autocommit=True) as connection:
        for name, value in _RELAXED.items():
            connection.execute(sql.SQL("ALTER SYSTEM SET {} TO {}").format(sql.Identifier(name), sql.Literal(value)))
    _restart(server)
    try:
        yield
    finally:
        with psycopg.connect(server.uri("postgres"), autocommit=True) as connection:
            for name in _RELAXED:
                connection.execute(sql.SQL("ALTER SYSTEM RESET {}").format(sql.Identifier(name)))
        _restart(server)
        os.sync()


def _restart(server: LocalPostgreSQL) -> None:
    server.stop()
    server.start()


def _load(uri: str, archive: Archive, tell: Tell) -> None:
    script = REVISION_01.read_text("utf-8")
    indexes = {table: [] for table, _ in _LOADS}
    for match in _INDEX.finditer(script):
        indexes.get(match[1], []).append(match[0])
    later = {statement for statements in indexes.values() for statement in statements}
    with _loader(uri) as connection:
        connection.execute(_INDEX.sub(lambda match: "" if match[0] in later else match[0], script))
        _describe(connection)
    with ThreadPoolExecutor(2) as pool:
        jobs = [pool.submit(_fill, uri, archive, table, name, indexes[table], tell) for table, name in _LOADS]
        for job in jobs:
            job.result()
    _complete(uri, archive, tell)


@contextmanager
def _loader(uri: str) -> Iterator[psycopg.Connection]:
    """A connection on which triggers and foreign keys are asleep."""
    with psycopg.connect(uri, autocommit=True, options="-c session_replication_role=replica") as connection:
        yield connection


def _describe(connection: psycopg.Connection) -> None:
    connection.execute(_SQL["helpers"])
    with connection.cursor() as cursor:
        for table, rows in (("resource", block()), ("description", descriptions())):
            with cursor.copy(sql.SQL("COPY benchmark.{} FROM STDIN").format(sql.Identifier(table))) as copying:
                for row in rows:
                    copying.write_row(row)
    connection.execute(_SQL["lines"])
    connection.execute("ANALYZE")


def _fill(uri: str, archive: Archive, table: str, name: str, indexes: list[str], tell: Tell) -> None:
    """One table, its indexes after its rows."""
    tell(f"loading {table}")
    with _loader(uri) as connection:
        with connection.transaction():
            if table != "Resources":  # which others refer to
                connection.execute(sql.SQL("TRUNCATE {}").format(sql.SQL(table)))
            connection.execute(_SQL[name], _range(archive))
            tell(f"indexing {table}")
            for index in indexes:
                connection.execute(index)
        connection.execute(sql.SQL("VACUUM (ANALYZE) {}").format(sql.SQL(table)))
    tell(f"loaded {table}")


def _complete(uri: str, archive: Archive, tell: Tell) -> None:
    tell("counting")
    with _loader(uri) as connection:
        connection.execute(_SQL["changes"], _range(archive))
        connection.execute(_SQL["recycling_order"], {})
        connection.execute(_SQL["counters"])
        connection.execute(_SQL["sequences"])
        connection.execute("DROP SCHEMA benchmark CASCADE")
        connection.execute("VACUUM (ANALYZE)")


def _range(archive: Archive) -> dict[str, int]:
    return {"last_base": archive.resources - SIZE, "size": SIZE}
