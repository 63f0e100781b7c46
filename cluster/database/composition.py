"""Statements that are put together from named pieces, for either database.

To psycopg a `Piece` is what it says for PostgreSQL; `sqlite_text.py` looks for the twin of the piece first.
"""

from collections.abc import Mapping
from typing import LiteralString, cast

from psycopg import sql

from cluster.database.queries import Query


class Piece(sql.Composed):
    """A named query with its parts (`{part}`) filled in."""

    def __init__(self, query: Query, parts: Mapping[str, sql.Composable]) -> None:
        super().__init__(list(sql.SQL(cast(LiteralString, query)).format(**parts)))
        self.query = query
        self.parts = parts


def filled_in(query: LiteralString, **parts: sql.Composable) -> Piece:
    """A query of `queries()` with its parts, of which it may leave some out."""
    assert isinstance(query, Query)
    return Piece(query, parts)
