"""Which processes use the index, and which revisions each can serve.

A process says so at every look that it takes at the database, and takes its row away when it ends in order. One that
was killed counts as gone when its heartbeat is older than three of its intervals; the clock is the database's.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from importlib.metadata import version
from uuid import UUID

import psycopg
from psycopg.rows import TupleRow

from cluster.database import Database, queries
from cluster.schema.revision import REVISION

_SQL = queries("cluster.coordinator", "membership.sql")
_MISSED_HEARTBEATS = 3

SERVED_REVISIONS = (REVISION,)


@dataclass(frozen=True, slots=True)
class Node:
    """A process that is alive."""

    node_id: UUID
    name: str
    roles: Sequence[str]
    version: str
    revisions: Sequence[int]
    reason: str | None
    """Why it is not ready; None if it is."""
    started_at: datetime
    silent_for: timedelta


class Membership:
    """This process's own row."""

    def __init__(self, name: str, roles: Sequence[str], interval_seconds: float) -> None:
        self.node_id = uuid.uuid4()
        self._row = {
            "node_id": self.node_id,
            "name": name,
            "roles": list(roles),
            "version": version("orthanc-cluster"),
            "revisions": list(SERVED_REVISIONS),
            # At least some seconds: a node that is short of breath is not gone.
            "patience": timedelta(seconds=max(5.0, _MISSED_HEARTBEATS * interval_seconds)),
        }

    def heartbeat(self, connection: psycopg.Connection[TupleRow], reason: str | None) -> None:
        """Tell that this process is alive, and why it is not ready if it is not."""
        connection.execute(_SQL["heartbeat"], {**self._row, "reason": reason})

    def leave(self, connection: psycopg.Connection[TupleRow]) -> None:
        """This process ends."""
        connection.execute(_SQL["leave"], {"node_id": self.node_id})


def live_nodes(database: Database) -> list[Node]:
    """All processes that gave a sign of life recently."""
    rows = database.run("live_nodes", lambda cursor: cursor.execute(_SQL["live_nodes"]).fetchall(), read_only=True)
    return [Node(*row) for row in rows]
