"""Whether a role may change the schema, before it begins to.

PostgreSQL lets only a table's owner alter it, and finds out at the first such statement: in an online upgrade that may
be hours after the beginning.
"""

from collections.abc import Iterable
from itertools import groupby

import psycopg
from psycopg.rows import TupleRow

from cluster.database import queries
from cluster.errors import DatabaseRefused

_SQL = queries("cluster.schema", "ownership.sql")
_INSUFFICIENT_PRIVILEGE = "42501"
_SHOWN = 3


def refuse_unless_owner(connection: psycopg.Connection[TupleRow], schema_name: str) -> None:
    """Make sure that the current role owns what the index consists of, itself or as a member of who does.

    Reads the catalogue only.

    Raises:
        DatabaseRefused: it does not; the message says what it must own, and how it gets there.
    """
    found = connection.execute(_SQL["not_owned"], {"schema": schema_name}).fetchall()
    row = connection.execute(_SQL["rights"], {"schema": schema_name}).fetchone()
    assert row is not None
    role, may_create = row
    if found:
        owners = {owner: _in_words(things) for owner, things in groupby(found, key=lambda row: row[0])}
        listed = "; ".join(f'"{owner}" owns {things}' for owner, things in owners.items())
        grants = "; ".join(f'GRANT "{owner}" TO "{role}"' for owner in owners)
        raise DatabaseRefused(
            f'the role "{role}" must own the tables, sequences and functions of the index, or be a member of their '
            f"owner that inherits its rights: {listed}. Nothing was changed. Either {grants}; or for each of them "
            f'ALTER {found[0][1].upper()} {found[0][2]} OWNER TO "{role}"',
            _INSUFFICIENT_PRIVILEGE,
        )
    if not may_create:
        raise DatabaseRefused(
            f'the role "{role}" may not create tables and functions in the PostgreSQL schema "{schema_name}". Nothing '
            f'was changed. GRANT CREATE ON SCHEMA "{schema_name}" TO "{role}"',
            _INSUFFICIENT_PRIVILEGE,
        )


def _in_words(things: Iterable[tuple[str, str, str]]) -> str:
    """Such as ``table changes, table labels, table queues and 40 more``."""
    names = [f"{kind} {name}" for _, kind, name in things]
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
