"""The migration: begin or go on, copy, compare, finish."""

import json
from collections.abc import Callable

import psycopg
from psycopg import sql
from psycopg.rows import TupleRow

from cluster.config import Settings
from cluster.database import Row, queries
from cluster.database.advisory_lock import SETUP_KEY, try_advisory_lock
from cluster.errors import DatabaseRefused, LockNotAvailable, SchemaMismatch
from cluster.failpoints import failpoint
from cluster.migration.source import BATCH, Source, open_source
from cluster.migration.tables import TABLES, Key, Table
from cluster.schema.install import install
from cluster.schema.session import direct_connection

_SQL = queries("cluster.migration", "target.sql")

_UNFINISHED = "unfinished: orthanc-cluster migrate has to be run again"
_SEQUENCES = {
    "Resources": "resources_internalid_seq",
    "Changes": "changes_seq_seq",
    "ExportedResources": "exportedresources_seq_seq",
    "Queues": "queues_id_seq",
    "PatientRecyclingOrder": "patientrecyclingordersequence",
}

Progress = Callable[[str, int, int], None]
"""What is being done, rows of it so far, rows in all."""


def migrate(settings: Settings, on_progress: Progress = lambda what, done, total: None) -> int:
    """Move the index in IndexDirectory to the configured PostgreSQL; the number of rows.

    Raises:
        DatabaseRefused: the source or the target is in use.
        SchemaMismatch: the target holds another index, or the source has changed since the migration began.
        ClusterError: what either database says. Run again, it goes on where it ended.
    """
    schema_name = settings.postgresql.schema_name
    with (
        open_source(settings.index_directory) as source,
        direct_connection(settings.postgresql) as target,
        try_advisory_lock(target, SETUP_KEY) as held,
    ):
        if not held:
            raise LockNotAvailable("another process installs, upgrades or migrates this database")
        target.execute("SELECT set_config('search_path', quote_ident(%s), false)", (schema_name,))
        _begin(target, source, schema_name, settings.cluster.node_name)
        total = source.count()
        number = 0
        for table in TABLES:
            number = _copy(target, source, table, lambda done: on_progress("copied", done, total), number)
        number = 0
        for table in TABLES:
            number = _compare(target, source, table, lambda done: on_progress("compared", done, total), number)
        _finish(target, source)
        return number


def _begin(target: psycopg.Connection[TupleRow], source: Source, schema_name: str, node: str) -> None:
    known = _one(target, "SELECT to_regclass('cluster.migration') IS NOT NULL")
    if known:
        row = target.execute(_SQL["cursor"], {"name": "all"}).fetchone()
        if row is not None and row[2]:
            raise SchemaMismatch("an index was migrated into this database already, and is complete")
        if row is not None and row[0] != source.fingerprint:
            raise SchemaMismatch(
                "the SQLite index has changed since its migration began; begin again with an empty database"
            )
        if row is not None:
            return
    with target.transaction():
        install(target, schema_name, node)
        if _one(target, _SQL["is_used"]):
            raise SchemaMismatch(f'PostgreSQL schema "{schema_name}" holds resources already; nothing was changed')
        if _one(target, _SQL["others"]):
            raise DatabaseRefused("nodes use the target database; stop them until the migration is complete")
        target.execute(_SQL["begin"])
        target.execute(_SQL["unfinished"], {"value": _UNFINISHED})
        _switch_triggers(target, "DISABLE")
        _advance(target, source, "all", None, done=False)


def _copy(
    target: psycopg.Connection[TupleRow], source: Source, table: Table, tell: Callable[[int], None], before: int
) -> int:
    row = target.execute(_SQL["cursor"], {"name": table.name}).fetchone()
    after: Key = tuple(json.loads(row[1])) if row and row[1] else table.first
    while rows := source.rows(table, after):
        after = rows[-1][: table.key]
        columns = sql.SQL(", ").join(map(sql.Identifier, table.columns))
        statement = sql.SQL("COPY {} ({}) FROM STDIN").format(sql.Identifier(table.table), columns)
        with target.transaction(), target.cursor() as cursor:
            with cursor.copy(statement) as copy:
                for values in rows:
                    copy.write_row(values)
            _advance(target, source, table.name, after, done=False)
        before += len(rows)
        tell(before)
        failpoint("batch_migrated")
    return before


def _compare(
    target: psycopg.Connection[TupleRow], source: Source, table: Table, tell: Callable[[int], None], before: int
) -> int:
    """Every row of both, side by side; the number of rows, with those before."""
    after = table.first
    while True:
        ours, theirs = source.rows(table, after), _rows(target, table, after)
        if ours != theirs:
            wrong = next((pair for pair in zip(ours, theirs, strict=False) if pair[0] != pair[1]), None)
            key = wrong[0][: table.key] if wrong else (ours or theirs)[min(len(ours), len(theirs)) - 1][: table.key]
            raise DatabaseRefused(
                f"table {table.table} is not the same in both databases: the first difference is at or behind the key "
                f"{key}. The target stays unfinished; begin with an empty database"
            )
        if not ours:
            return before
        after = ours[-1][: table.key]
        before += len(ours)
        tell(before)


def _rows(target: psycopg.Connection[TupleRow], table: Table, after: Key) -> list[Row]:
    # Texts in the order of their bytes, as SQLite has them.
    keys = sql.SQL(", ").join(
        sql.SQL('{} COLLATE "C"' if isinstance(part, str) else "{}").format(sql.Identifier(column))
        for column, part in zip(table.columns, after, strict=False)
    )
    statement = sql.SQL("SELECT {} FROM {} WHERE {} AND ({}) > ({}) ORDER BY {} LIMIT {}").format(
        sql.SQL(", ").join(map(sql.Identifier, table.columns)),
        sql.Identifier(table.table),
        sql.SQL(table.only),
        keys,
        sql.SQL(", ").join(map(sql.Literal, after)),
        keys,
        sql.Literal(BATCH),
    )
    return target.execute(statement).fetchall()


def _finish(target: psycopg.Connection[TupleRow], source: Source) -> None:
    """Counters, sequences, triggers; from the commit of this on the index can be served."""
    last_change = source.sequences.get("Changes", 0)
    with target.transaction():
        target.execute(_SQL["totals"], {"last_change": last_change})
        for name, sequence in _SEQUENCES.items():
            target.execute(_SQL["set_sequence"], {"sequence": sequence, "last": source.sequences.get(name, 0)})
        target.execute(_SQL["remember_removed"], {"uuids": source.removed()})
        target.execute(_SQL["stable_upto"], {"last_change": last_change})
        _switch_triggers(target, "ENABLE")
        target.execute(_SQL["unfinished"], {"value": "6"})
        _advance(target, source, "all", None, done=True)


def _switch_triggers(target: psycopg.Connection[TupleRow], word: str) -> None:
    """Rows come with their numbers and counts, which triggers would give them again."""
    for name in sorted({table.table for table in TABLES}):
        statement = sql.SQL("ALTER TABLE {} {} TRIGGER USER").format(sql.Identifier(name), sql.SQL(word))
        target.execute(statement)


def _advance(
    target: psycopg.Connection[TupleRow], source: Source, name: str, last_key: Key | None, *, done: bool
) -> None:
    key = None if last_key is None else json.dumps(last_key)
    values = {"name": name, "source": source.fingerprint, "last_key": key, "done": done}
    target.execute(_SQL["advance"], values)


def _one(target: psycopg.Connection[TupleRow], statement: str) -> bool:
    row = target.execute(statement.encode()).fetchone()
    return bool(row and row[0])
