"""PostgreSQL plumbing; knows no table."""

from cluster.database.queries import queries
from cluster.database.transaction import Database, Row

__all__ = ["Database", "Row", "queries"]
