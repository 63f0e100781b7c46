"""Attachments without a row whose files are still to be removed.

The row goes first and leaves its UUID here in the same transaction, so a file that is removed has no row, and one that
is not removed yet is not forgotten, whoever is killed when. A claim lasts as long as its lease: no lock is held while a
file is removed, and what a dead process claimed is claimed again.
"""

from collections.abc import Sequence

from cluster.database import Database, queries

_SQL = queries("cluster.index", "removals.sql")

LEASE_SECONDS = 60.0

REMEMBERED_SECONDS = 3600.0
"""How long a UUID outlives its file: far longer than a transaction is replayed."""

FORGOTTEN_AT_A_TIME = 10_000


def claim_removals(database: Database, limit: int, lease_seconds: float = LEASE_SECONDS) -> list[str]:
    """UUIDs of up to `limit` files that nobody else removes meanwhile."""
    values = {"limit": limit, "lease_seconds": lease_seconds}
    rows = database.run("claim_removals", lambda cursor: cursor.execute(_SQL["claim"], values).fetchall())
    return [uuid for (uuid,) in rows]


def settle_removals(database: Database, uuids: Sequence[str]) -> None:
    """The files of these are gone."""
    if uuids:
        database.run("settle_removals", lambda cursor: cursor.execute(_SQL["settle"], {"uuids": list(uuids)}).rowcount)


def forget_removals(database: Database, older_than_seconds: float = REMEMBERED_SECONDS) -> int:
    """Drop UUIDs whose files have been gone for long; returns how many."""
    values = {"seconds": older_than_seconds, "limit": FORGOTTEN_AT_A_TIME}
    return database.run("forget_removals", lambda cursor: cursor.execute(_SQL["forget"], values).rowcount)
