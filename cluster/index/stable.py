"""Stable patients, studies and series, for all nodes together (schema/sql/cluster_stable.sql)."""

from cluster.database import Database, queries

_SQL = queries("cluster.index", "stable.sql")


def log_stable_resources(database: Database, stable_age_seconds: float) -> int:
    """Log a StableX change for each resource that got no instance for so long; returns how many.

    Any process may call it at any time: one session works at a time, and each quiet period is logged once.
    """
    rows = database.call("log_stable_resources", _SQL["log_stable_resources"], {"stable_age": stable_age_seconds})
    return int(rows[0][0])
