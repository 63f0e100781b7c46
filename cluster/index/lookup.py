"""Which resources bear an identifier: PatientID, StudyInstanceUID, AccessionNumber, SeriesInstanceUID, SOPInstanceUID.

Source: interop/tags.md 2, on /tools/lookup.
"""

from cluster.database import Database, queries
from cluster.dicom.levels import Level
from cluster.dicom.main_tags import MAXIMUM_VALUE_BYTES, normalise_identifier

_SQL = queries("cluster.index", "lookup.sql")


def lookup(database: Database, identifier: str) -> list[tuple[Level, str]]:
    """Level and public id of each, by level and id.

    Where normalising changes what is looked for, the un-normalised value has to be equal too.
    """
    if len(identifier.encode()) > MAXIMUM_VALUE_BYTES:
        return []
    normalised = normalise_identifier(identifier)
    values = {"normalised": normalised, "exact": None if normalised == identifier else identifier}
    rows = database.run("lookup", lambda cursor: cursor.execute(_SQL["lookup"], values).fetchall(), read_only=True)
    return [(Level(level), public_id) for level, public_id in rows]
