"""Upgrades beside running writers: before, switch, after.

The caller holds the set-up lock on `connection` until the switch is done; from there on the archive can be served,
and whoever holds the back-fill lock does what is left. Every step can be interrupted anywhere: the next upgrader goes
on where this one ended (`ledger.py`).
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

import psycopg
from psycopg import sql
from psycopg.rows import TupleRow

from cluster import tracing
from cluster.errors import NodesInTheWay, SchemaMismatch
from cluster.schema.batches import run_batches
from cluster.schema.build_ahead import BuildAhead, wait_for_builder, worth_building_ahead
from cluster.schema.concurrent_index import build_index
from cluster.schema.install import install_cluster
from cluster.schema.ledger import Ledger, incompatible_nodes, steps, unfinished_back_fills
from cluster.schema.ownership import refuse_unless_owner
from cluster.schema.phases import BACK_FILLS, Kind, OnlineStep, Phase, online_steps
from cluster.schema.plan import seconds_for
from cluster.schema.steps import text
from cluster.schema.switch import switch

_STATEMENT_LOCK_TIMEOUT_MILLISECONDS = 250
_BATCH_LOCK_TIMEOUT_MILLISECONDS = 5_000
_PAUSE_SECONDS = 0.5


def _nothing(*_: object) -> None:
    """Nobody listens, nobody ends the work."""


@dataclass(frozen=True, slots=True)
class UpgradeOptions:
    """How an upgrade is done, and who is told.

    Attributes:
        share: of the time that batches may work, above 0 and up to 1.
        refuse_nodes: refuse the switch because of live nodes that cannot serve the new revision, rather than wait.
        pause: waits for some seconds, or raises what ends the work; also called between two steps.
        on_step: is told each step as it begins.
        waiting: is told who keeps the switch waiting.
    """

    share: float = 1.0
    refuse_nodes: bool = False
    pause: Callable[[float], None] = field(default=_nothing)
    on_step: Callable[[str], None] = field(default=_nothing)
    waiting: Callable[[str], None] = field(default=_nothing)


def prepare_and_switch(
    connection: psycopg.Connection[TupleRow],
    schema_name: str,
    node: str,
    source: int,
    target: int,
    options: UpgradeOptions,
) -> list[str]:
    """Bring an index from revision `source` to `target`, but for the back-fills; returns the steps that were done.

    Raises:
        NodesInTheWay: live nodes cannot serve the new revision; wait for them, or stop them.
        LockNotAvailable: another upgrader has taken over, or a node of Orthanc's holds the database for itself.
        SchemaMismatch: the rows forbid it, or nodes are in the way and `options.refuse_nodes`.
        DatabaseRefused: the role owns too little for that; nothing was changed.
    """
    refuse_unless_owner(connection, schema_name)
    prepare_session(connection, schema_name)
    done = back_fill(connection, schema_name, node, options)
    install_cluster(connection, schema_name, node)
    planned = online_steps(source, target)
    ledger = Ledger(connection, node)
    ledger.take_over(source, target, [(step, seconds_for(connection, schema_name, step)) for step in planned])
    wait_for_builder(connection, options.pause, options.waiting)
    finished = {entry.name for entry in steps(connection) if entry.done}
    left = [step for step in planned if step.phase is not Phase.AFTER and step.name not in finished]
    ahead = worth_building_ahead(connection, schema_name, left)
    with BuildAhead(connection, ledger, schema_name, ahead, options.pause) as builder:
        for step in left:
            options.pause(0)
            options.on_step(step.name)
            with _traced(step):
                ledger.begin(step.name)
                if step.kind is Kind.SWITCH:
                    _switch(connection, ledger, schema_name, step, source, target, options)
                else:
                    builder.wait_for(step)
                    _run(connection, ledger, schema_name, step, options)
            done.append(step.name)
    return done


def back_fill(
    connection: psycopg.Connection[TupleRow], schema_name: str, node: str, options: UpgradeOptions
) -> list[str]:
    """Do what the last upgrade has left to do after its switch; returns the steps that were done.

    Raises:
        LockNotAvailable: another one has taken over.
    """
    left = unfinished_back_fills(connection)
    if not left:
        return []
    prepare_session(connection, schema_name)
    ledger = Ledger(connection, node)
    ledger.take_over_as_it_is()
    done = []
    for step in BACK_FILLS:
        if step.name in left:
            options.pause(0)
            options.on_step(step.name)
            with _traced(step):
                _run(connection, ledger, schema_name, step, options)
            done.append(step.name)
    return done


def prepare_session(connection: psycopg.Connection[TupleRow], schema_name: str) -> None:
    """Settings of the upgrader's own session, which is a direct one."""
    connection.execute(sql.SQL("SET search_path TO {}").format(sql.Identifier(schema_name)))
    connection.execute("SET statement_timeout TO 0")
    connection.execute("RESET synchronous_commit")
    connection.execute("SET idle_in_transaction_session_timeout TO 0")
    # What the server says on the way is for whoever reads its log.
    connection.execute("SET client_min_messages TO warning")
    if connection.info.server_version >= 140_000:
        # A backend whose upgrader is gone must not build its index to the end: it holds the set-up lock meanwhile.
        connection.execute("SET client_connection_check_interval TO '1s'")


def _traced(step: OnlineStep) -> AbstractContextManager[tracing.Span]:
    attributes = {"orthanc_cluster.step": step.name, "orthanc_cluster.phase": step.phase.value}
    return tracing.span("schema upgrade step", attributes)


def _switch(
    connection: psycopg.Connection[TupleRow],
    ledger: Ledger,
    schema_name: str,
    step: OnlineStep,
    source: int,
    target: int,
    options: UpgradeOptions,
) -> None:
    switch(
        connection,
        ledger,
        step,
        schema_name,
        source,
        target,
        check=lambda session: _check_nodes(session, target, options),
        pause=options.pause,
        waiting=options.waiting,
    )


def _run(
    connection: psycopg.Connection[TupleRow],
    ledger: Ledger,
    schema_name: str,
    step: OnlineStep,
    options: UpgradeOptions,
) -> None:
    match step.kind:
        case Kind.INDEX:
            build_index(connection, schema_name, step)
            with ledger.transaction():
                ledger.end(connection, step.name)
        case Kind.BATCHES:
            connection.execute(f"SET lock_timeout TO {_BATCH_LOCK_TIMEOUT_MILLISECONDS}".encode())
            run_batches(connection, ledger, step, share=options.share, pause=options.pause)
        case _:
            _run_statement(connection, ledger, step, options)


def _run_statement(
    connection: psycopg.Connection[TupleRow], ledger: Ledger, step: OnlineStep, options: UpgradeOptions
) -> None:
    """A statement whose lock must come quickly, as writers queue behind it; else they go first and it tries again."""
    while True:
        try:
            with ledger.transaction():
                connection.execute(f"SET LOCAL lock_timeout TO {_STATEMENT_LOCK_TIMEOUT_MILLISECONDS}".encode())
                connection.execute(text(step.file).encode())
                ledger.end(connection, step.name)
                return
        except psycopg.errors.LockNotAvailable:
            options.waiting(step.name)
            options.pause(_PAUSE_SECONDS)


def _check_nodes(connection: psycopg.Connection[TupleRow], target: int, options: UpgradeOptions) -> None:
    nodes = incompatible_nodes(connection, target)
    if nodes:
        reason = f"the switch to revision {target} would break {'; '.join(nodes)}"
        raise SchemaMismatch(f"{reason}. Stop or update them first") if options.refuse_nodes else NodesInTheWay(reason)
