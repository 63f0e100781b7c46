"""Ends the protection of a patient: the effects of UnprotectPatient, which is Orthanc's own function in PostgreSQL."""

from collections.abc import Mapping
from typing import Any

from cluster.database.sqlite_cursor import Row, SqliteCursor
from cluster.database.sqlite_text import steps

_STEPS = steps("cluster.index", "protection.sql")


def unprotect(cursor: SqliteCursor, values: Mapping[str, Any]) -> list[Row]:
    """The patient goes to the end of the recycling order, also if it was in there."""
    cursor.execute(_STEPS["protect"], values)
    cursor.execute(_STEPS["join_queue"], values)
    return [(None,)]
