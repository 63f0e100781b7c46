"""The index that the configuration asks for: in PostgreSQL, or in SQLite as Orthanc has it by default."""

from collections.abc import Mapping

from cluster.config import Settings
from cluster.database import Database
from cluster.database.sqlite import SqliteDatabase
from cluster.database.sqlite_cursor import Procedure
from cluster.index.sqlite.deletion import delete_resource
from cluster.index.sqlite.limits import make_room, store_within_limits
from cluster.index.sqlite.protection import unprotect
from cluster.index.sqlite.stable import log_stable_resources, note_new_instances
from cluster.index.sqlite.store import store_instances

PROCEDURES: Mapping[str, Procedure] = {
    "attached_files.sql/make_room": make_room,
    "deletion.sql/delete_resource": delete_resource,
    "protection.sql/unprotect": unprotect,
    "stable.sql/log_stable_resources": log_stable_resources,
    "stable.sql/note_new_instances": note_new_instances,
    "store_instances.sql/store_instances": store_instances,
    "store_instances.sql/store_within_limits": store_within_limits,
}
"""Queries that call a function of PostgreSQL's, and what does the same for SQLite."""


def index_of(settings: Settings) -> Database:
    """The index of this process, not opened yet."""
    budget = settings.cluster.transaction_time_budget_seconds
    if settings.postgresql.enable_index:
        return Database(settings.postgresql, time_budget_seconds=budget)
    return SqliteDatabase(settings.index_directory, PROCEDURES, time_budget_seconds=budget)
