"""Stable patients, studies and series, for all nodes together (schema/sql/cluster_stable.sql)."""

from cluster.database import Database, queries

_SQL = queries("cluster.index", "stable.sql")

CHANGES_AT_A_TIME = 10_000


def log_stable_resources(database: Database, stable_age_seconds: float) -> int:
    """Log a StableX change for each resource that got no instance for so long; returns how many.

    Any process may call it at any time: one session works at a time, and each quiet period is logged once.
    """
    rows = database.call("log_stable_resources", _SQL["log_stable_resources"], {"stable_age": stable_age_seconds})
    return int(rows[0][0])


def note_all_new_instances(database: Database) -> int:
    """Take note of every new instance, so that changes may go; returns the last change that was looked at."""
    while True:
        [(upto, last)] = database.call("note_new_instances", _SQL["note_new_instances"], {"changes": CHANGES_AT_A_TIME})
        if upto == last:
            return int(upto)
