"""`orthanc-cluster nodes`: who is there."""

import contextlib

from rich.console import Console
from rich.table import Table

from cluster.config import Settings
from cluster.coordinator.membership import live_nodes
from cluster.database import Database

_TIME_BUDGET_SECONDS = 5.0


def list_nodes(settings: Settings) -> None:
    """Print a table of all live processes of the cluster.

    Raises:
        Transient, DatabaseRefused: the database cannot be asked.
    """
    database = Database(settings.postgresql, time_budget_seconds=_TIME_BUDGET_SECONDS)
    database.open()
    table = Table("name", "role", "version", "revisions", "since", "state")
    with contextlib.closing(database):
        for node in live_nodes(database):
            state = "[green]ready[/green]" if node.reason is None else f"[yellow]{node.reason}[/yellow]"
            revisions = ", ".join(map(str, node.revisions))
            since = f"{node.started_at:%Y-%m-%d %H:%M:%S}"
            table.add_row(node.name, ", ".join(node.roles), node.version, revisions, since, state)
    Console().print(table)
