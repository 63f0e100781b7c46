"""PostgreSQL's and SQLite's plumbing; knows no table."""

from cluster.database.accompanying import ALONE, Accompanying, Statement
from cluster.database.composition import Piece, filled_in
from cluster.database.queries import queries
from cluster.database.transaction import Database, Row

__all__ = ["ALONE", "Accompanying", "Database", "Piece", "Row", "Statement", "filled_in", "queries"]
