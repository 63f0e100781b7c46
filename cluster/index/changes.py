"""The log of changes, for readers that follow it.

Invariant: numbers are drawn under a lock that is held until commit (schema/sql/install.sql, LockChangesFunc), so in any
snapshot every change up to the last one is there. A reader that continues from `ChangePage.last` therefore sees every
change once and in order.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import psycopg

from cluster.database import Database, Row, queries
from cluster.dicom.levels import Level
from cluster.index.stable import CHANGES_AT_A_TIME, note_all_new_instances

_SQL = queries("cluster.index", "changes.sql")


@dataclass(frozen=True, slots=True)
class Change:
    """One row of Changes."""

    seq: int
    change_type: int
    level: Level
    public_id: str
    date: str
    """UTC, ``YYYYMMDDTHHMMSS``."""


@dataclass(frozen=True, slots=True)
class ChangePage:
    """Some changes in ascending order."""

    changes: tuple[Change, ...]
    done: bool
    """Whether the limit cut nothing off."""
    last: int
    """Number of the last change here; of the last change of all if there is none here."""


def changes_since(
    database: Database, since: int, limit: int, *, to: int | None = None, types: Sequence[int] | None = None
) -> ChangePage:
    """The first `limit` (at least 1) changes with a number above `since`.

    Args:
        to: highest number of interest.
        types: change types of interest; None for all.
    """
    return _page(database, "changes_since", limit, types, {"since": since, "to": to})


def changes_until(
    database: Database, limit: int, *, to: int | None = None, types: Sequence[int] | None = None
) -> ChangePage:
    """The last `limit` (at least 1) changes up to number `to`, or of all."""
    return _page(database, "changes_until", limit, types, {"to": to})


def clear_changes(database: Database) -> None:
    """Delete every change that is there when it begins; `ChangePage.last` stays what it is.

    What has to become stable is noted first, as that is read from the log.
    """
    values = {"upto": note_all_new_instances(database), "limit": CHANGES_AT_A_TIME}

    def delete_some(cursor: psycopg.Cursor[Row]) -> int:
        return cursor.execute(_SQL["delete_changes"], values).rowcount

    while database.run("delete_changes", delete_some) == CHANGES_AT_A_TIME:
        pass


def _page(
    database: Database, name: str, limit: int, types: Sequence[int] | None, window: Mapping[str, int | None]
) -> ChangePage:
    if limit < 1:
        raise ValueError("a page of no changes would tell its reader to skip all of them")
    # One more than asked for tells whether there are more.
    values = {**window, "types": None if types is None else list(types), "limit": limit + 1}
    rows = database.run(name, lambda cursor: cursor.execute(_SQL[name], values).fetchall(), read_only=True)
    changes = [
        Change(seq, change_type, Level(level), public_id, date)
        for _, seq, change_type, level, public_id, date in rows
        if seq is not None
    ]
    done = len(changes) <= limit
    changes = changes[:limit] if name == "changes_since" else changes[-limit:]
    return ChangePage(tuple(changes), done, changes[-1].seq if changes else rows[0][0])
