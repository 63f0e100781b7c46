"""PostgreSQL plumbing; knows no table."""

from cluster.database.accompanying import ALONE, Accompanying, Statement
from cluster.database.queries import queries
from cluster.database.transaction import Database, Row

__all__ = ["ALONE", "Accompanying", "Database", "Row", "Statement", "queries"]
