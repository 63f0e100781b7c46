"""What a database holds, read from its catalogue and GlobalProperties (interop/schema.md 1, 8, 9)."""

from dataclasses import dataclass
from enum import Enum

import psycopg
from psycopg.rows import TupleRow

SCHEMA_VERSION = "6"
"""Property 1: Orthanc's own schema number, 6 for every PostgreSQL index."""

REVISION = 10
"""Property 4: the revision that this program installs and serves."""

UNKNOWN = 0
"""The revision of a database that does not tell it, or that says 1 and lacks what revision 1 has."""

OLDER_REVISIONS = (UNKNOWN, 1, 2, 3, 4, 5, 6)
"""What can be upgraded; 7, 8 and 9 were never used."""


class Finding(Enum):
    """How a database stands to what this program serves."""

    NO_SCHEMA = "the configured PostgreSQL schema does not exist"
    EMPTY = "no index"
    OLDER = "a revision that can be upgraded"
    EXACT = "this revision"
    NEWER = "a revision that this program does not know yet"
    FOREIGN = "not an Orthanc index"


def name_of(revision: int) -> str:
    """A revision in words."""
    return "unknown" if revision == UNKNOWN else str(revision)


@dataclass(frozen=True, slots=True)
class Observation:
    """One look at a database; `revision` is None where there is no index of Orthanc's."""

    finding: Finding
    revision: int | None = None
    detail: str = ""

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
                return (
                    f"{where} holds what is not an Orthanc index that can be served or upgraded: {self.detail}; this "
                    f"version serves revision {REVISION} only. Nothing was changed"
                )
            case Finding.NEWER:
                return (
                    f"{where} holds an Orthanc index at revision {self.revision}; this version serves revision "
                    f"{REVISION} only and knows no newer one. Nothing was changed; use a newer version"
                )
            case Finding.OLDER:
                found = "an unknown revision" if self.revision == UNKNOWN else f"revision {self.revision}"
                return (
                    f"{where} holds an Orthanc index at {found}; this version serves revision {REVISION} only. "
                    "Nodes with Cluster.AutomaticUpgrade bring it there; by hand: orthanc-cluster schema upgrade"
                )


def observe(connection: psycopg.Connection[TupleRow], schema_name: str) -> Observation:
    """Look at the database; writes nothing and takes no lock that a writer would notice."""
    seen = _look(connection, schema_name)
    # A look is several statements, and what each sees of the catalogue is what is committed by then, whatever the
    # isolation: an installation or a switch that commits in between looks like half of something.
    return _look(connection, schema_name) if seen.finding is Finding.FOREIGN else seen


def _look(connection: psycopg.Connection[TupleRow], schema_name: str) -> Observation:
    if _one(connection, "SELECT to_regnamespace(quote_ident(%s)) IS NULL", schema_name):
        return Observation(Finding.NO_SCHEMA)
    has_properties = _has(connection, schema_name, "globalproperties")
    if not _has(connection, schema_name, "resources"):
        if has_properties:
            return Observation(Finding.FOREIGN, detail="table GlobalProperties without table Resources")
        return Observation(Finding.EMPTY)
    if not has_properties:
        return Observation(Finding.FOREIGN, detail="table Resources without table GlobalProperties")
    properties = _properties(connection, schema_name)
    version = properties.get(1)
    if version != SCHEMA_VERSION:
        return Observation(Finding.FOREIGN, detail=f"property 1 (schema version) is {version or 'missing'}")
    return _observe_revision(connection, schema_name, properties.get(4))


def _observe_revision(connection: psycopg.Connection[TupleRow], schema_name: str, text: str | None) -> Observation:
    if text is None:
        # A database before 5.1 has none, and one that lost it must not be upgraded from the beginning.
        if _has(connection, schema_name, "globalintegerschanges"):
            detail = "an unknown revision, as property 4 is missing, with tables of revision 2 or later"
            return Observation(Finding.FOREIGN, detail=detail)
        return Observation(Finding.OLDER, UNKNOWN)
    # Orthanc reads a number and nothing else; int() would take spaces, signs and other digits too.
    if not (text.isascii() and text.isdecimal()):
        return Observation(Finding.FOREIGN, detail=f"property 4 (revision) is {text!r}")
    revision = int(text)
    if revision == REVISION:
        return Observation(Finding.EXACT, revision)
    if revision > REVISION:
        return Observation(Finding.NEWER, revision)
    if revision not in OLDER_REVISIONS or revision == UNKNOWN:
        return Observation(
            Finding.FOREIGN, revision, f"property 4 (revision) is {revision}, which no plugin ever wrote"
        )
    if revision == 1 and not _is_complete_1(connection, schema_name):
        return Observation(Finding.OLDER, UNKNOWN)
    return Observation(Finding.OLDER, revision)


def _is_complete_1(connection: psycopg.Connection[TupleRow], schema_name: str) -> bool:
    """Whether all is there that the plugins from 2.2 to 5.0 added without changing the revision."""
    tables = ("globalintegers", "serverproperties", "labels", "deletedfiles", "remainingancestor", "deletedresources")
    column = (
        "SELECT EXISTS (SELECT FROM pg_attribute WHERE attrelid = to_regclass(quote_ident(%s) || '.' || %s)"
        " AND attname = 'revision' AND NOT attisdropped)"
    )
    return all(_has(connection, schema_name, table) for table in tables) and all(
        _one(connection, column, schema_name, table) for table in ("metadata", "attachedfiles")
    )


def _has(connection: psycopg.Connection[TupleRow], schema_name: str, table: str) -> bool:
    return _one(connection, "SELECT to_regclass(quote_ident(%s) || '.' || %s) IS NOT NULL", schema_name, table)


def _one(connection: psycopg.Connection[TupleRow], statement: str, *values: str) -> bool:
    row = connection.execute(statement.encode(), values).fetchone()
    return bool(row and row[0])


def _properties(connection: psycopg.Connection[TupleRow], schema_name: str) -> dict[int, str]:
    query = psycopg.sql.SQL("SELECT property, value FROM {}.globalproperties WHERE property IN (1, 4)").format(
        psycopg.sql.Identifier(schema_name)
    )
    return dict(connection.execute(query).fetchall())
