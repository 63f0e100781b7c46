"""Deletes a resource: the effects of cluster.delete_resource (schema/sql/cluster_removals.sql)."""

from collections.abc import Mapping
from typing import Any

from cluster.database.sqlite_cursor import Row, SqliteCursor
from cluster.database.sqlite_text import steps

_STEPS = steps("cluster.index", "deletion.sql")


def delete_resource(cursor: SqliteCursor, values: Mapping[str, Any]) -> list[Row]:
    """Whether there was such a resource, and its direct parent if that remains."""
    chain = cursor.execute(_STEPS["chain"], values).fetchall()
    if not chain:
        return [(False, None, None)]
    *ancestors, (resource, *_) = chain
    cursor.execute(_STEPS["delete"], {"resource": resource})
    if not ancestors or ancestors[-1][3] == 1:
        # A parent that had no other child went too, and Orthanc with PostgreSQL names no other ancestor.
        return [(True, None, None)]
    cursor.execute_many(_STEPS["touch"], [{"resource": internal_id} for internal_id, *_ in ancestors])
    _, level, public_id, _ = ancestors[-1]
    return [(True, level, public_id)]
