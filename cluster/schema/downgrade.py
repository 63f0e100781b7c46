"""Back to an older revision, for a plugin that cannot serve the newer one: all nodes stopped, one transaction."""

from collections.abc import Callable, Iterable

import psycopg
from psycopg import sql
from psycopg.rows import TupleRow

from cluster.database.advisory_lock import SETUP_KEY, try_advisory_lock
from cluster.errors import ConfigurationError, LockNotAvailable, SchemaMismatch
from cluster.schema.build_ahead import nothing_is_built
from cluster.schema.ledger import forget
from cluster.schema.migration import migrate
from cluster.schema.online import UpgradeOptions, back_fill
from cluster.schema.ownership import refuse_unless_owner
from cluster.schema.revision import UNKNOWN, Finding, name_of, observe
from cluster.schema.session import all_or_nothing
from cluster.schema.steps import REVISIONS, Step, steps_between
from cluster.schema.upgrade import refuse_beside_nodes


def downgrade(
    connection: psycopg.Connection[TupleRow],
    schema_name: str,
    target: int,
    *,
    node: str = "schema downgrade",
    discard: bool = False,
    on_part: Callable[[str], None] = lambda part: None,
) -> list[str]:
    """Bring an index back to `target`, and return the names of the steps that were done.

    Our own PostgreSQL schema `cluster` stays: it holds the memory of imports, and an older Orthanc does not see it.

    Args:
        connection: a direct one in autocommit mode.
        node: who does it, for the history.
        discard: give up rows for which the older revision has no place.
        on_part: told each part as it begins.

    Raises:
        ConfigurationError: `target` is no revision, or a newer one than the database's.
        SchemaMismatch: there is no index, or rows would be lost.
        LockNotAvailable: another node is at it, or works on the database.
        StorageFull: the server's disk has no room for it.
        DatabaseRefused: the role owns too little for that.
    """
    if target not in REVISIONS[1:]:
        raise ConfigurationError("--to", f"{target} is none of the revisions {', '.join(map(str, REVISIONS[1:]))}")
    with try_advisory_lock(connection, SETUP_KEY) as held:
        if not held:
            raise LockNotAvailable("another node holds the set-up lock")
        seen = observe(connection, schema_name)
        if seen.finding not in (Finding.OLDER, Finding.EXACT) or seen.revision in (None, UNKNOWN):
            raise SchemaMismatch(seen.explain(schema_name))
        assert seen.revision is not None
        if target > seen.revision:
            raise ConfigurationError("--to", f"the index is at revision {name_of(seen.revision)} only")
        steps = steps_between(seen.revision, target)
        if steps:
            refuse_unless_owner(connection, schema_name)
            refuse_beside_nodes(connection, target)
            # What an online upgrade put aside belongs into the tables before they change again.
            back_fill(connection, schema_name, node, UpgradeOptions())
        with nothing_is_built(connection), all_or_nothing(connection):
            if not discard:
                _refuse_to_lose(connection, schema_name, steps)
            migrate(connection, schema_name, seen.revision, target, on_part)
            if steps:
                forget(connection)
    return [step.name for step in steps]


def _refuse_to_lose(connection: psycopg.Connection[TupleRow], schema_name: str, steps: Iterable[Step]) -> None:
    lost = [
        f"{number} rows of {table}{'' if condition == 'true' else f' ({condition})'} by {step.name}"
        for step in steps
        for table, condition in step.loses
        if (number := _count(connection, schema_name, table, condition))
    ]
    if lost:
        raise SchemaMismatch(
            f"the older revision has no place for {', '.join(lost)}. Nothing was changed; --discard gives them up"
        )


def _count(connection: psycopg.Connection[TupleRow], schema_name: str, table: str, condition: str) -> int:
    query = sql.SQL("SELECT count(*) FROM {} WHERE ").format(sql.Identifier(schema_name, table)).as_string(None)
    row = connection.execute((query + condition).encode()).fetchone()
    return int(row[0]) if row else 0
