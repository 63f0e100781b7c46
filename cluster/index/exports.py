"""The log of what was sent to other modalities (option LogExportedResources; interop/rest.md 7)."""

from dataclasses import dataclass

from cluster.database import Database, Row, queries
from cluster.dicom.levels import Level

_SQL = queries("cluster.index", "exports.sql")


@dataclass(frozen=True, slots=True)
class Export:
    """One row of ExportedResources; what is empty there is empty here."""

    seq: int
    level: Level
    public_id: str
    remote_modality: str
    patient_id: str
    study_instance_uid: str
    series_instance_uid: str
    sop_instance_uid: str
    date: str
    """UTC, ``YYYYMMDDTHHMMSS``."""


def exports_since(database: Database, since: int, limit: int) -> tuple[list[Export], bool]:
    """The first `limit` exports with a number above `since`, and whether that is all."""
    # One more than asked for tells whether there are more.
    rows = _read(database, "exports_since", {"since": since, "limit": limit + 1})
    return [_export(row) for row in rows[:limit]], len(rows) <= limit


def last_export(database: Database) -> Export | None:
    """The last one; None if there is none."""
    rows = _read(database, "last_export", {})
    return _export(rows[0]) if rows else None


def clear_exports(database: Database) -> None:
    """Delete all; the next one has a higher number nevertheless."""
    database.run("delete_exports", lambda cursor: cursor.execute(_SQL["delete_exports"]).rowcount)


def _read(database: Database, name: str, values: dict[str, int]) -> list[Row]:
    return database.run(name, lambda cursor: cursor.execute(_SQL[name], values).fetchall(), read_only=True)


def _export(row: Row) -> Export:
    seq, level, *texts = row
    return Export(seq, Level(level), *(text or "" for text in texts))
