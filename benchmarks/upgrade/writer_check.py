"""What must hold of an index after writers and an upgrade went over it."""

import psycopg

from benchmarks.upgrade.writers import Work, rows_of_instance
from cluster.database.queries import queries

_SQL = queries("benchmarks", "checks.sql")


def faults(uri: str, work: Work) -> list[str]:
    """What is wrong, in words; empty if all is right. Does housekeeping first, as nodes do."""
    with psycopg.connect(uri, autocommit=True) as connection:
        housekeep(connection)
        found = [f"instance {row[0]}: {row[1:]}" for row in _instances(connection, work)]
        found += [f"public id {row[0]} twice" for row in connection.execute(_SQL["doubles"])]
        found += [f"statistic {row[0]}: {row[1]}, sum {row[2]}" for row in connection.execute(_SQL["statistics"])]
        found += [
            f"children of {row[0]}: {row[1]}, in fact {row[2]}" for row in connection.execute(_SQL["child_counts"])
        ]
        last, told = connection.execute(_SQL["last_change"]).fetchone()
        if last != told:
            found.append(f"last change {last}, readers are told {told}")
        if len({stored.public_id for stored in work.stored}) != len(work.stored):
            found.append("an instance was acknowledged twice")
    return found


def housekeep(connection: psycopg.Connection) -> None:
    """Until nothing is left."""
    connection.execute("ANALYZE InvalidChildCounts, GlobalIntegersChanges")
    while connection.execute(_SQL["missing_child_counts"]).fetchone() != (0,):
        pass
    while connection.execute(_SQL["pending"]).fetchone() != (0, 0):
        connection.execute(_SQL["fold_statistics"])
        connection.execute(_SQL["invalid_child_counts"])


def _instances(connection: psycopg.Connection, work: Work) -> list[tuple]:
    instances = [stored.public_id for stored in work.stored]
    return connection.execute(_SQL["instances"], {"instances": instances, **rows_of_instance()}).fetchall()
