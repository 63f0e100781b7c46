"""Keeps the limits of the archive: the effects of cluster.make_room (schema/sql/cluster_recycling.sql)."""

from collections.abc import Mapping, Sequence
from typing import Any

from cluster.database.sqlite_cursor import Row, SqliteCursor
from cluster.database.sqlite_text import steps
from cluster.errors import StorageFull
from cluster.index.sqlite.store import store_instances, stored_instances

_STEPS = steps("cluster.index", "store_instances.sql")


def make_room(cursor: SqliteCursor, values: Mapping[str, Any]) -> list[Row]:
    """Recycle patients until so many bytes may be added; raises StorageFull."""
    _make_room(cursor, values, values["added_size"], 0, values["kept"])
    return [(None,)]


def store_within_limits(cursor: SqliteCursor, values: Mapping[str, Any]) -> list[Row]:
    """Room first, for what the batch really adds, then as `store_instances`; raises StorageFull.

    No patient of the batch is recycled for it.
    """
    added = added_size = 0
    for instance in stored_instances(cursor, values):
        if instance.is_to_be_written:
            added += 1
            added_size += instance.size - instance.present_size
    if added:
        patients = [
            public_id
            for public_id, level in zip(values["resource_public_ids"], values["resource_levels"], strict=True)
            if level == 0
        ]
        unknown = [
            patient
            for patient in patients
            if cursor.execute(_STEPS["find_resource"], {"public_id": patient, "level": 0}).fetchone() is None
        ]
        _make_room(cursor, values, added_size, len(unknown), patients)
    return store_instances(cursor, values)


def _make_room(
    cursor: SqliteCursor, limits: Mapping[str, Any], added_size: int, added_patients: int, kept: Sequence[str]
) -> None:
    maximum_size, maximum_patients = limits["maximum_size"], limits["maximum_patients"]
    while True:
        row = cursor.execute(_STEPS["totals"]).fetchone()
        assert row is not None
        size, patients = row
        if not (
            (maximum_size > 0 and size + added_size > maximum_size)
            or (maximum_patients > 0 and patients + added_patients > maximum_patients)
        ):
            return
        oldest = None
        if limits["recycles"]:
            oldest = cursor.execute(_STEPS["oldest_patient"], {"kept": list(kept)}).fetchone()
        if oldest is None:
            raise StorageFull("the archive has reached MaximumStorageSize or MaximumPatientCount")
        cursor.execute(_STEPS["recycle"], {"patient": oldest[0]})
        cursor.execute(_STEPS["empty_collected"])
