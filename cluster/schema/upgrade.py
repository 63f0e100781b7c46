"""Upgrades by hand: beside running nodes, or the offline way with all nodes stopped, in one transaction."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg
from psycopg.rows import TupleRow

from cluster.database.advisory_lock import BACK_FILL_KEY, SETUP_KEY, try_advisory_lock
from cluster.errors import ConfigurationError, LockNotAvailable, SchemaMismatch
from cluster.schema.build_ahead import nothing_is_built
from cluster.schema.install import install_cluster
from cluster.schema.ledger import forget, incompatible_nodes
from cluster.schema.migration import migrate
from cluster.schema.online import UpgradeOptions, back_fill, prepare_and_switch
from cluster.schema.ownership import refuse_unless_owner
from cluster.schema.revision import REVISION, Finding, name_of, observe
from cluster.schema.session import all_or_nothing
from cluster.schema.steps import REVISIONS, steps_between


def upgrade_online(
    connection: psycopg.Connection[TupleRow], schema_name: str, node: str, target: int, options: UpgradeOptions
) -> list[str]:
    """Bring an older index to `target` beside running nodes, back-fills included; returns the steps that were done.

    Args:
        connection: a direct one in autocommit mode.

    Raises:
        ConfigurationError: `target` is no revision, or an older one than the database's.
        SchemaMismatch: there is nothing that could be upgraded, or the rows forbid it.
        NodesInTheWay: live nodes cannot serve the new revision.
        LockNotAvailable: another node is at it, or holds the database for itself.
        DatabaseRefused: the role owns too little for that.
    """
    with _set_up(connection, schema_name, target) as source:
        done = prepare_and_switch(connection, schema_name, node, source, target, options) if source < target else []
    with try_advisory_lock(connection, BACK_FILL_KEY) as held:
        if not held:
            raise LockNotAvailable("another node does what is left after the switch")
        return done + back_fill(connection, schema_name, node, options)


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
        StorageFull: the server's disk has no room for it.
        DatabaseRefused: the role owns too little for that.
    """
    with _set_up(connection, schema_name, target) as source:
        if source < target:
            refuse_unless_owner(connection, schema_name)
            refuse_beside_nodes(connection, target)
            back_fill(connection, schema_name, node, UpgradeOptions())
        with nothing_is_built(connection), all_or_nothing(connection):
            migrate(connection, schema_name, source, target, on_part)
            steps = [step.name for step in steps_between(source, target)]
            if steps:
                forget(connection)
            if target == REVISION:
                steps += install_cluster(connection, schema_name, node, done=steps)
    return steps


def refuse_beside_nodes(connection: psycopg.Connection[TupleRow], target: int) -> None:
    """Nodes that are alive and cannot serve `target` must be stopped first.

    Raises:
        LockNotAvailable: there are some.
    """
    nodes = incompatible_nodes(connection, target)
    if nodes:
        raise LockNotAvailable(
            f"live nodes cannot serve revision {target}: {'; '.join(nodes)}. Nothing was changed; stop them first"
        )


@contextmanager
def _set_up(connection: psycopg.Connection[TupleRow], schema_name: str, target: int) -> Iterator[int]:
    """Hold the set-up lock; the revision that an upgrade to `target` starts from."""
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
        yield seen.revision
