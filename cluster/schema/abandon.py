"""Taking back what an online upgrade has prepared before its switch, for a switch that nobody wants any more.

The ledger forgets the upgrade first, and what is there is read from the catalogue: so an abandonment that was
interrupted is finished by the next one, and an upgrade that comes in between builds anew what is gone. Writers of the
older revision go on meanwhile.

What was put right stays right, as it is so at the older revision too: child counts and the trigger of revision 3 that
kept them wrong, folded statistics. Our own PostgreSQL schema stays as after a downgrade.
"""

from dataclasses import dataclass

import psycopg
from psycopg.rows import TupleRow

from cluster.database import queries
from cluster.database.advisory_lock import SETUP_KEY, try_advisory_lock
from cluster.errors import LockNotAvailable, SchemaMismatch
from cluster.schema.build_ahead import nothing_is_built
from cluster.schema.concurrent_index import drop_index
from cluster.schema.ledger import Ledger, steps, was_begun
from cluster.schema.online import UpgradeOptions, prepare_session
from cluster.schema.ownership import refuse_unless_owner
from cluster.schema.phases import Kind, Phase, online_steps
from cluster.schema.revision import REVISION, Finding, name_of, observe
from cluster.schema.switch import with_all_tables
from cluster.schema.upgrade import refuse_beside_nodes

_SQL = queries("cluster.schema", "abandon.sql")


@dataclass(frozen=True, slots=True)
class Prepared:
    """What an upgrade has left in the database before its switch."""

    indexes: tuple[str, ...]
    foreign_key: bool
    patients: bool

    @property
    def names(self) -> list[str]:
        """Each thing in words, in the order in which they are taken away."""
        return [
            *(["table cluster.patients_before"] if self.patients else []),
            *(f"index {name}" for name in self.indexes),
            *(["foreign key resources_parentid_fkey_next"] if self.foreign_key else []),
        ]


def abandon(
    connection: psycopg.Connection[TupleRow], schema_name: str, node: str, options: UpgradeOptions
) -> tuple[int, list[str]]:
    """Leave the index as the older revision has it; returns that revision, and what was taken away.

    Args:
        connection: a direct one in autocommit mode.
        options: `on_step` is told each thing as its turn comes, `pause` and `waiting` as by an upgrade.

    Raises:
        SchemaMismatch: the switch is done already, or there is no index.
        LockNotAvailable: another node is at it, or live nodes wait for the upgrade.
        DatabaseRefused: the role owns too little for that; nothing was changed.
    """
    with try_advisory_lock(connection, SETUP_KEY) as held:
        if not held:
            raise LockNotAvailable("another node holds the set-up lock; if it upgrades, stop it first")
        revision = _revision_before_the_switch(connection, schema_name)
        if not was_begun(connection):
            return revision, []
        prepared = _prepared(connection, schema_name, revision)
        if not (prepared.names or steps(connection)):
            return revision, []
        refuse_unless_owner(connection, schema_name)
        # A node of ours that is alive beside an older revision is one that would begin anew.
        refuse_beside_nodes(connection, revision)
        with nothing_is_built(connection):
            _take_away(connection, schema_name, node, prepared, options)
        return revision, prepared.names


def _revision_before_the_switch(connection: psycopg.Connection[TupleRow], schema_name: str) -> int:
    seen = observe(connection, schema_name)
    if seen.finding not in (Finding.OLDER, Finding.EXACT) or seen.revision is None:
        raise SchemaMismatch(seen.explain(schema_name))
    switches = [step for step in steps(connection) if step.phase is Phase.SWITCH and step.done]
    if switches:
        raise SchemaMismatch(
            f"{switches[0].name} is done, and what was prepared for it is part of the index now, which is at revision "
            f"{name_of(seen.revision)}. Nothing was changed; to go back: orthanc-cluster schema downgrade"
        )
    return seen.revision


def _prepared(connection: psycopg.Connection[TupleRow], schema_name: str, revision: int) -> Prepared:
    def look(name: str, **values: object) -> list[TupleRow]:
        return connection.execute(_SQL[name], {"schema": schema_name, **values}).fetchall()

    built = [step.index for step in online_steps(revision, REVISION) if step.kind is Kind.INDEX]
    return Prepared(
        indexes=tuple(name for (name,) in look("indexes", names=built)),
        foreign_key=bool(look("foreign_key")[0][0]),
        patients=bool(look("patients")[0][0]),
    )


def _take_away(
    connection: psycopg.Connection[TupleRow], schema_name: str, node: str, prepared: Prepared, options: UpgradeOptions
) -> None:
    prepare_session(connection, schema_name)
    ledger = Ledger(connection, node)
    # With the list of patients, which only the ledger makes up to date.
    ledger.abandon()
    for name in prepared.indexes:
        options.pause(0)
        options.on_step(f"index {name}")
        ledger.fence()
        drop_index(connection, schema_name, name)
    if prepared.foreign_key:
        options.on_step("foreign key resources_parentid_fkey_next")
        with_all_tables(
            connection,
            ledger,
            schema_name,
            lambda locked_at: connection.execute(_SQL["drop_foreign_key"]),
            pause=options.pause,
            waiting=options.waiting,
        )
