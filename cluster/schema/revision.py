"""What a database holds, read from its catalogue and GlobalProperties (interop/schema.md 1, 8, 9)."""

from dataclasses import dataclass
from enum import Enum

import psycopg
from psycopg.rows import TupleRow

SCHEMA_VERSION = "6"
"""Property 1: Orthanc's own schema number, 6 for every PostgreSQL index."""

REVISION = 10
"""Property 4: the revision that this program installs and serves."""


class Finding(Enum):
    """How a database stands to what this program serves."""

    NO_SCHEMA = "the configured PostgreSQL schema does not exist"
    EMPTY = "no index"
    EXACT = "this revision"
    OTHER = "another revision"
    FOREIGN = "not an Orthanc index"


@dataclass(frozen=True, slots=True)
class Observation:
    """One look at a database; `revision` is None where property 4 is missing or no number."""

    finding: Finding
    revision: int | None = None

    def explain(self, schema_name: str) -> str:
        """One sentence for the operator: what was found and what is wanted."""
        where = f'PostgreSQL schema "{schema_name}"'
        match self.finding:
            case Finding.NO_SCHEMA:
                return f"PostgreSQL.Schema: {where} does not exist; create it, or configure another one"
            case Finding.EMPTY:
                return f"{where} is empty; an index at revision {REVISION} will be installed"
            case Finding.EXACT:
                return f"{where} holds an index at revision {REVISION}"
            case Finding.FOREIGN:
                return f"{where} holds tables that are not an Orthanc index of schema version {SCHEMA_VERSION}"
            case Finding.OTHER:
                found = "an unknown revision" if self.revision is None else f"revision {self.revision}"
                return (
                    f"{where} holds an Orthanc index at {found}; this version serves revision {REVISION} only, "
                    "and upgrades nothing yet"
                )


def observe(connection: psycopg.Connection[TupleRow], schema_name: str) -> Observation:
    """Look at the database; writes nothing and takes no lock that a writer would notice."""
    if _one(connection, "SELECT to_regnamespace(quote_ident(%s)) IS NULL", schema_name):
        return Observation(Finding.NO_SCHEMA)
    relation = "SELECT to_regclass(quote_ident(%s) || '.' || %s) IS NOT NULL"
    has_resources = _one(connection, relation, schema_name, "resources")
    has_properties = _one(connection, relation, schema_name, "globalproperties")
    if not has_resources:
        return Observation(Finding.FOREIGN if has_properties else Finding.EMPTY)
    if not has_properties:
        return Observation(Finding.FOREIGN)
    properties = _properties(connection, schema_name)
    if properties.get(1) != SCHEMA_VERSION:
        return Observation(Finding.FOREIGN)
    text = properties.get(4) or ""
    revision = int(text) if text.isdecimal() else None
    return Observation(Finding.EXACT if revision == REVISION else Finding.OTHER, revision)


def _one(connection: psycopg.Connection[TupleRow], statement: str, *values: str) -> bool:
    row = connection.execute(statement.encode(), values).fetchone()
    return bool(row and row[0])


def _properties(connection: psycopg.Connection[TupleRow], schema_name: str) -> dict[int, str]:
    query = psycopg.sql.SQL("SELECT property, value FROM {}.globalproperties WHERE property IN (1, 4)").format(
        psycopg.sql.Identifier(schema_name)
    )
    return dict(connection.execute(query).fetchall())
