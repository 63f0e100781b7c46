"""Protection of patients against recycling (interop/schema.md 7, "Recycling data").

A recycler locks the patient before it looks at the protection for the last time, so a patient whose protection was
answered is never recycled, and one that is recycled first is unknown to whoever wants to protect it.
"""

import psycopg

from cluster.database import Database, Row, queries
from cluster.dicom.levels import Level
from cluster.errors import UnknownResource
from cluster.index.writing import lock_resource

_SQL = queries("cluster.index", "protection.sql")


def is_protected(database: Database, patient: str) -> bool:
    """Whether a patient is protected; raises UnknownResource."""
    row = database.run(
        "is_protected",
        lambda cursor: cursor.execute(_SQL["is_protected"], {"public_id": patient}).fetchone(),
        read_only=True,
    )
    if row is None:
        raise UnknownResource(f"no patient {patient}")
    return bool(row[0])


def set_protected(database: Database, patient: str, protected: bool) -> None:
    """Protect a patient, or not any longer, which puts it at the end of the recycling queue; raises UnknownResource."""
    name = "protect" if protected else "unprotect"

    def work(cursor: psycopg.Cursor[Row]) -> None:
        resource = lock_resource(cursor, Level.PATIENT, patient)
        cursor.execute(_SQL[name], {"resource": resource})

    database.run(name, work)
