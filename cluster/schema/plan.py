"""What a change of revision would do, and about how long it would take, without touching anything.

Estimates come from the catalogue's idea of how many rows a table has: an order of magnitude, in which to plan.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import psycopg
from psycopg.rows import TupleRow

from cluster.schema.phases import OnlineStep, online_steps
from cluster.schema.steps import Step, steps_between

_BYTES_PER_ROW = 120
"""For tables that were never analysed, whose number of rows PostgreSQL does not know."""


@dataclass(frozen=True, slots=True)
class PlannedStep:
    """One step with its strongest lock, the rows it reads and the seconds that may take."""

    name: str
    lock: str
    reads: Sequence[str]
    rows: int
    seconds: float


def plan(
    connection: psycopg.Connection[TupleRow], schema_name: str, source: int, target: int, *, online: bool
) -> tuple[PlannedStep, ...]:
    """The steps from one revision to another; reads nothing but the catalogue.

    Args:
        online: the three phases of an upgrade beside running nodes, or the one transaction of the offline way.

    Raises:
        ValueError: there is no such way.
    """
    steps: Sequence[Step | OnlineStep] = (
        online_steps(source, target) if online and source <= target else steps_between(source, target)
    )
    return tuple(_planned(connection, schema_name, step) for step in steps)


def seconds_for(connection: psycopg.Connection[TupleRow], schema_name: str, step: Step | OnlineStep) -> float:
    """About how long a step takes; reads nothing but the catalogue."""
    return _planned(connection, schema_name, step).seconds


def rows_read(connection: psycopg.Connection[TupleRow], schema_name: str, step: Step | OnlineStep) -> int:
    """About how many rows a step reads; looks at nothing but the catalogue."""
    return _planned(connection, schema_name, step).rows


def _planned(connection: psycopg.Connection[TupleRow], schema_name: str, step: Step | OnlineStep) -> PlannedStep:
    rows = sum(_rows(connection, schema_name, table) for table in step.reads)
    return PlannedStep(step.name, step.lock, step.reads, rows, round(rows / 1_000_000 * step.seconds_per_million, 1))


def _rows(connection: psycopg.Connection[TupleRow], schema_name: str, table: str) -> int:
    """About how many; 0 where an earlier step makes the table."""
    row = connection.execute(
        "SELECT CASE WHEN c.reltuples >= 0 THEN c.reltuples ELSE pg_relation_size(c.oid) / %s END::bigint"
        " FROM pg_class c WHERE c.oid = to_regclass(quote_ident(%s) || '.' || %s)",
        (_BYTES_PER_ROW, schema_name, table),
    ).fetchone()
    return int(row[0]) if row else 0
