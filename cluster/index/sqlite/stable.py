"""Logs what has become stable: the effects of the functions in schema/sql/cluster_stable.sql."""

from collections.abc import Mapping
from typing import Any

from cluster.database.sqlite_cursor import Row, SqliteCursor
from cluster.database.sqlite_text import steps

_STEPS = steps("cluster.index", "stable.sql")

_CHANGES_AT_A_TIME = 10_000


def log_stable_resources(cursor: SqliteCursor, values: Mapping[str, Any]) -> list[Row]:
    """Number of resources that became stable."""
    [(upto, last)] = note_new_instances(cursor, {"changes": _CHANGES_AT_A_TIME})
    if upto < last:
        return [(0,)]  # an instance that was not read yet may have broken the quiet
    quiet = [resource for (resource,) in cursor.execute(_STEPS["take_quiet"], values)]
    if not quiet:
        return [(0,)]
    cursor.execute(_STEPS["log_stable"], {"resources": quiet})
    return [(cursor.rowcount,)]


def note_new_instances(cursor: SqliteCursor, values: Mapping[str, Any]) -> list[Row]:
    """The change up to which all new instances are noted, and the last one of all."""
    row = cursor.execute(_STEPS["read_upto"]).fetchone()
    assert row is not None
    read_upto, last = row
    upto = min(last, read_upto + values["changes"])
    if upto != read_upto:
        cursor.execute(_STEPS["note"], {"read_upto": read_upto, "upto": upto})
        cursor.execute(_STEPS["set_read_upto"], {"upto": upto})
    return [(upto, last)]
