"""Labels of resources. Writing one logs no change and touches no LastUpdate (interop/ingest.md 12)."""

import re

import psycopg

from cluster.database import Database, Row, queries
from cluster.dicom.levels import Level
from cluster.errors import UnknownResource
from cluster.index.writing import lock_resource

_SQL = queries("cluster.index", "labels.sql")

_SYNTAX = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)


def is_label(text: str) -> bool:
    """Whether a text may be a label (interop/rest.md 5)."""
    return _SYNTAX.fullmatch(text) is not None


def labels_of(database: Database, level: Level, public_id: str) -> list[str]:
    """Labels of a resource, sorted.

    Raises:
        UnknownResource: there is no such resource.
    """
    values = {"public_id": public_id, "level": int(level)}
    rows = database.run(
        "list_labels", lambda cursor: cursor.execute(_SQL["list_labels"], values).fetchall(), read_only=True
    )
    if not rows:
        raise UnknownResource(f"no resource {public_id} of this level")
    return sorted(label for (label,) in rows if label is not None)


def all_labels(database: Database) -> list[str]:
    """Every label in use, sorted."""
    rows = database.run("all_labels", lambda cursor: cursor.execute(_SQL["all_labels"]).fetchall(), read_only=True)
    return sorted(label for (label,) in rows)


def add_label(database: Database, level: Level, public_id: str, label: str) -> None:
    """Give a resource a label, which it may have already; raises UnknownResource."""
    _write(database, "add_label", level, public_id, label)


def remove_label(database: Database, level: Level, public_id: str, label: str) -> None:
    """Take a label away, which may not be there; raises UnknownResource."""
    _write(database, "remove_label", level, public_id, label)


def _write(database: Database, name: str, level: Level, public_id: str, label: str) -> None:
    def work(cursor: psycopg.Cursor[Row]) -> None:
        resource = lock_resource(cursor, level, public_id)
        cursor.execute(_SQL[name], {"resource": resource, "label": label})

    database.run(name, work)
