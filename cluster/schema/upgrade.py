"""Upgrades the offline way: all nodes stopped, one transaction, nothing half-done."""

from collections.abc import Callable

import psycopg
from psycopg.rows import TupleRow

from cluster.database.advisory_lock import SETUP_KEY, try_advisory_lock
from cluster.errors import ConfigurationError, LockNotAvailable, SchemaMismatch
from cluster.schema.install import install
from cluster.schema.migration import migrate
from cluster.schema.revision import REVISION, Finding, name_of, observe
from cluster.schema.steps import REVISIONS, steps_between


def upgrade_offline(
    connection: psycopg.Connection[TupleRow],
    schema_name: str,
    node: str,
    target: int = REVISION,
    on_part: Callable[[str], None] = lambda part: None,
) -> list[str]:
    """Bring an older index to `target`, and return the names of the steps that were done.

    At revision 10 our own PostgreSQL schema `cluster` is there too, in the same transaction.

    Args:
        connection: a direct one in autocommit mode.
        on_part: told each part as it begins.

    Raises:
        ConfigurationError: `target` is no revision, or an older one than the database's.
        SchemaMismatch: there is nothing that could be upgraded.
        LockNotAvailable: another node is at it, or works on the database.
    """
    if target not in REVISIONS[1:]:
        raise ConfigurationError("--to", f"{target} is none of the revisions {', '.join(map(str, REVISIONS[1:]))}")
    with try_advisory_lock(connection, SETUP_KEY) as held:
        if not held:
            raise LockNotAvailable("another node holds the set-up lock")
        # Looked at under the lock: what was seen before it may be gone.
        seen = observe(connection, schema_name)
        if seen.finding not in (Finding.OLDER, Finding.EXACT) or seen.revision is None:
            raise SchemaMismatch(seen.explain(schema_name))
        if target < seen.revision:
            raise ConfigurationError(
                "--to", f"the index is at revision {name_of(seen.revision)}; to go back: schema downgrade --to {target}"
            )
        with connection.transaction():
            migrate(connection, schema_name, seen.revision, target, on_part)
            steps = [step.name for step in steps_between(seen.revision, target)]
            if target == REVISION:
                steps += install(connection, schema_name, node, done=steps)
    return steps
