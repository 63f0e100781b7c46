"""Totals of the archive, and the housekeeping that keeps them and the child counts cheap to read.

Writers only append to GlobalIntegersChanges and InvalidChildCounts, so that none waits for another; folding those
rows is safe on any number of nodes at once (interop/schema.md 5, 11).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cluster.database import Database, queries

_SQL = queries("cluster.index", "statistics.sql")


@dataclass(frozen=True, slots=True)
class Statistics:
    """Totals of the archive; sizes in bytes."""

    compressed_size: int
    uncompressed_size: int
    patients: int
    studies: int
    series: int
    instances: int


def read_statistics(database: Database) -> Statistics:
    """Exact totals: what is folded plus what is pending, in one snapshot."""
    totals: dict[int, int] = dict(
        database.run(
            "read_statistics", lambda cursor: cursor.execute(_SQL["read_statistics"]).fetchall(), read_only=True
        )
    )
    return Statistics(*(totals.get(key, 0) for key in range(6)))


def fold_statistics(database: Database) -> None:
    """Fold pending changes into the totals, at most 10,000 rows of each."""
    _call(database, "fold_statistics")


def recount_children(database: Database) -> int:
    """Recount the children of resources that gained or lost some; returns how many resources that were."""
    return _call(database, "recount_children")


def count_missing_children(database: Database, batch: int) -> int:
    """Count the children of up to `batch` resources for which nobody ever did; returns how many were done.

    Such resources come from a database that was upgraded from before revision 3.
    """
    return _call(database, "count_missing_children", {"batch": batch})


def count_lock_waits(database: Database) -> int:
    """How many sessions of the database wait for another one's lock at this moment."""
    name = "count_lock_waits"
    rows = database.run(name, lambda cursor: cursor.execute(_SQL[name]).fetchall(), read_only=True)
    return int(rows[0][0])


def _call(database: Database, name: str, values: Mapping[str, Any] | None = None) -> int:
    row = database.run(name, lambda cursor: cursor.execute(_SQL[name], values).fetchone())
    return int(row[0] or 0) if row else 0
