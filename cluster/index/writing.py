"""What writers of one resource have in common.

They lock in the order of all writers (design rule "one lock order"): the resource, then its own rows, the change lock
last.
"""

import psycopg

from cluster.database import Row, queries
from cluster.dicom.levels import Level
from cluster.errors import UnknownResource
from cluster.index.enumerations import ChangeType

_SQL = queries("cluster.index", "writing.sql")


def lock_resource(cursor: psycopg.Cursor[Row], level: Level, public_id: str) -> int:
    """Internal id of a resource, which stays until commit.

    Raises:
        UnknownResource: there is none of that level.
    """
    row = cursor.execute(_SQL["lock_resource"], {"public_id": public_id, "level": int(level)}).fetchone()
    if row is None:
        raise UnknownResource(f"no resource {public_id} of this level")
    return int(row[0])


def log_change(cursor: psycopg.Cursor[Row], change_type: ChangeType, level: Level, resource: int) -> None:
    """Write a row of Changes; the last statement of its transaction."""
    values = {"change_type": int(change_type), "resource": resource, "level": int(level)}
    cursor.execute(_SQL["log_change"], values)
