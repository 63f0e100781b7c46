"""What a change of revision would do, and about how long it would take, without touching anything.

Estimates come from the catalogue's idea of how many rows a table has, times what the manual's figures for 150 million
instances give per million rows: an order of magnitude, in which to plan a maintenance window.
"""

from dataclasses import dataclass

import psycopg
from psycopg.rows import TupleRow

from cluster.schema.phases import OnlineStep
from cluster.schema.steps import Step, steps_between

_BYTES_PER_ROW = 120
"""For tables that were never analysed, whose number of rows PostgreSQL does not know."""


@dataclass(frozen=True, slots=True)
class PlannedStep:
    """One step with the rows it reads and the seconds that may take."""

    step: Step
    rows: int
    seconds: float


def plan(
    connection: psycopg.Connection[TupleRow], schema_name: str, source: int, target: int
) -> tuple[PlannedStep, ...]:
    """The steps from one revision to another; reads nothing but the catalogue.

    Raises:
        ValueError: there is no such way.
    """
    planned = []
    for step in steps_between(source, target):
        rows = sum(_rows(connection, schema_name, table) for table in step.reads)
        planned.append(PlannedStep(step, rows, round(rows / 1_000_000 * step.seconds_per_million, 1)))
    return tuple(planned)


def seconds_for(connection: psycopg.Connection[TupleRow], schema_name: str, step: OnlineStep) -> float:
    """About how long a step of an online upgrade takes; reads nothing but the catalogue."""
    rows = sum(_rows(connection, schema_name, table) for table in step.reads)
    return rows / 1_000_000 * step.seconds_per_million


def _rows(connection: psycopg.Connection[TupleRow], schema_name: str, table: str) -> int:
    """About how many; 0 where an earlier step makes the table."""
    row = connection.execute(
        "SELECT CASE WHEN c.reltuples >= 0 THEN c.reltuples ELSE pg_relation_size(c.oid) / %s END::bigint"
        " FROM pg_class c WHERE c.oid = to_regclass(quote_ident(%s) || '.' || %s)",
        (_BYTES_PER_ROW, schema_name, table),
    ).fetchone()
    return int(row[0]) if row else 0
