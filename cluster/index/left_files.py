"""Files without a row, and how it becomes certain that they will never get one.

A transaction that began before anybody asked may still name a file. So a file is condemned first: from that commit on
`cluster.store_instances` and attachments refuse its UUID. When every transaction that was under way then has ended, and
still no row names the file, none ever will. No lock is held, and nobody waits but who wants to remove the file.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import psycopg

from cluster.database import Database, Row, queries

_SQL = queries("cluster.index", "left_files.sql")

SERIES_AT_A_TIME = 10


@dataclass(frozen=True, slots=True)
class Series:
    """A process that has not been heard of for a while, and the numbers of the files that it may have left."""

    series: UUID
    node: str
    unsettled: Sequence[int]
    fresh_from: int
    fresh_upto: int
    seen_at: datetime
    is_last_look: bool

    @property
    def numbers(self) -> list[int]:
        """Each once."""
        return [*self.unsettled, *range(self.fresh_from, self.fresh_upto)]


def register(
    database: Database, series: UUID, node: str, unsettled: Sequence[int], fresh: range, doubtful: Sequence[str]
) -> None:
    """A process tells which numbers it may use from now on, and of which files it does not know the fate.

    Raises:
        Transient, DatabaseRefused: as `Database.run`.
    """
    values = {
        "series": series,
        "node": node,
        "unsettled": list(unsettled),
        "fresh_from": fresh.start,
        "fresh_upto": fresh.stop,
    }

    def work(cursor: psycopg.Cursor[Row]) -> None:
        if doubtful:
            cursor.execute(_SQL["doubt"], {"uuids": list(doubtful)})
        cursor.execute(_SQL["register"], values)

    database.run("register_series", work)


def unregister(database: Database, series: UUID) -> None:
    """The process ends and leaves nothing open."""
    database.run("unregister_series", lambda cursor: cursor.execute(_SQL["unregister"], {"series": series}).rowcount)


def silent_series(database: Database, silence_seconds: float, forget_seconds: float) -> list[Series]:
    """Series that somebody should look at now."""
    values = {"silence_seconds": silence_seconds, "forget_seconds": forget_seconds, "limit": SERIES_AT_A_TIME}
    rows = database.run(
        "silent_series", lambda cursor: cursor.execute(_SQL["silent"], values).fetchall(), read_only=True
    )
    return [Series(*row) for row in rows]


def attachments_without_row(database: Database, uuids: Collection[str]) -> set[str]:
    """Those of `uuids` that no row of AttachedFiles names.

    Raises:
        Transient, DatabaseRefused: as `Database.run`.
    """
    values = {"uuids": list(uuids)}
    rows = database.run(
        "known_attachments", lambda cursor: cursor.execute(_SQL["known_attachments"], values).fetchall(), read_only=True
    )
    return set(uuids) - {uuid for (uuid,) in rows}


def end_look(database: Database, found: Series, doubtful: Collection[str]) -> None:
    """Keep what was found without a row; the series itself goes after its last look."""

    def work(cursor: psycopg.Cursor[Row]) -> None:
        cursor.execute(_SQL["doubt"], {"uuids": sorted(doubtful)})
        name = "forget" if found.is_last_look else "looked"
        cursor.execute(_SQL[name], {"series": found.series, "seen_at": found.seen_at})

    database.run("end_look", work)


def doubtful_files(database: Database, limit: int) -> list[str]:
    """UUIDs of files that were found without a row, the oldest first."""
    values = {"limit": limit}
    rows = database.run(
        "doubtful_files", lambda cursor: cursor.execute(_SQL["doubtful"], values).fetchall(), read_only=True
    )
    return [uuid for (uuid,) in rows]


def condemn(database: Database, uuids: Collection[str]) -> None:
    """From now on these get no row, unless by a transaction that is under way; those with one are left alone."""
    database.run("condemn_files", lambda cursor: cursor.execute(_SQL["condemn"], {"uuids": sorted(uuids)}).rowcount)


def transactions_in_progress(database: Database) -> set[str]:
    """Virtual ids of all transactions of this database but the one that asks."""
    rows = database.run("in_progress", lambda cursor: cursor.execute(_SQL["in_progress"]).fetchall(), read_only=True)
    return {virtual_id for (virtual_id,) in rows}


def judge(database: Database, uuids: Collection[str]) -> set[str]:
    """Those of the condemned that have no row; final if every transaction of the time has ended. Others are free."""

    def work(cursor: psycopg.Cursor[Row]) -> set[str]:
        values = {"uuids": sorted(uuids)}
        cursor.execute(_SQL["acquit"], values)
        return {uuid for (uuid,) in cursor.execute(_SQL["condemned"], values)}

    return database.run("judge_files", work)


def close_case(database: Database, decided: Collection[str], released: Collection[str]) -> None:
    """Nobody need look at `decided` again; the files of `released` may be removed (`removals.py`)."""

    def work(cursor: psycopg.Cursor[Row]) -> None:
        cursor.execute(_SQL["release"], {"uuids": sorted(released)})
        cursor.execute(_SQL["no_doubt"], {"uuids": sorted(decided)})

    database.run("close_case", work)
