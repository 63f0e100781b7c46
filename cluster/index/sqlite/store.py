"""Stores a batch of instances: the effects of cluster.store_instances (schema/sql/cluster_store_instances.sql).

Resources are numbered from 1 as they stand in the lists, level by level; `*_resources` hold such numbers.
"""

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from cluster.database.sqlite_cursor import Row, SqliteCursor
from cluster.database.sqlite_text import steps
from cluster.errors import StorageFailed
from cluster.failpoints import failpoint
from cluster.index.enumerations import ChangeType

_STEPS = steps("cluster.index", "store_instances.sql")

_INTEGER = re.compile(r"[+-]?[0-9]{1,9}", re.ASCII)
_NEW = (ChangeType.NEW_PATIENT, ChangeType.NEW_STUDY, ChangeType.NEW_SERIES, ChangeType.NEW_INSTANCE)

Values = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class StoredInstance:
    """An instance of the batch beside what the index has of it."""

    number: int
    public_id: str
    size: int
    """Bytes of its file as it is stored."""
    internal_id: int | None
    """None if the index does not have it."""
    present_size: int
    """Bytes of all that is attached to it."""
    is_own: bool
    """An earlier attempt at this batch stored it, and may have been overtaken by a deletion since."""
    is_to_be_written: bool


@dataclass(slots=True)
class _Batch:
    """The resources of a batch, by number."""

    levels: Sequence[int]
    public_ids: Sequence[str]
    parents: Sequence[int]
    stamp: str
    needed: dict[int, bool] = field(default_factory=dict)
    """Whether the batch has to bring it into existence, or adds something below it."""
    ids: dict[int, int] = field(default_factory=dict)
    """Internal ids."""
    new: set[int] = field(default_factory=set)

    def numbers(self, level: int) -> list[int]:
        return [number for number, other in enumerate(self.levels, start=1) if other == level]

    def parent(self, number: int) -> int:
        return self.parents[number - 1]


def stored_instances(cursor: SqliteCursor, values: Values) -> Iterator[StoredInstance]:
    """Each instance of the batch, in its order, as the index has it now."""
    columns = ("attachment_resources", "attachment_uuids", "attachment_stored_sizes", "attachment_hashes")
    overwrite = values["overwrite"]
    for number, uuid, size, md5 in zip(*(values[column] for column in columns), strict=True):
        public_id = values["resource_public_ids"][number - 1]
        row = cursor.execute(_STEPS["find_instance"], {"public_id": public_id}).fetchone()
        internal_id, present_uuid, present_md5, present_size = row or (None, None, None, 0)
        removed = cursor.execute(_STEPS["was_removed"], {"uuid": uuid}).fetchone()
        is_own = present_uuid == uuid or removed == (0,)
        is_unchanged = bool(present_md5) and present_md5 == md5
        is_overwritten = overwrite == "Always" or (overwrite == "IfChanged" and not is_unchanged)
        is_to_be_written = not is_own and (internal_id is None or is_overwritten)
        if removed == (1,) and is_to_be_written:
            raise StorageFailed("this process was taken for dead, and its file for one that nobody would ever name")
        yield StoredInstance(number, public_id, size, internal_id, present_size, is_own, is_to_be_written)


def store_instances(cursor: SqliteCursor, values: Values) -> list[Row]:
    """`('Success' | 'AlreadyStored', public id)` of each instance, and `('Removed', uuid)` of what was overwritten.

    Each with the seconds that all of it took.
    """
    began = time.monotonic()
    batch = _Batch(
        values["resource_levels"],
        values["resource_public_ids"],
        values["resource_parents"],
        datetime.now(UTC).strftime("%Y%m%dT%H%M%S"),
    )
    results = list(_clear_the_way(cursor, batch, values))
    for level in (2, 1, 0):
        below = {batch.parent(number) for number in batch.numbers(level + 1) if batch.needed[number]}
        batch.needed |= {number: number in below for number in batch.numbers(level)}
    _create_resources(cursor, batch)
    _write_rows(cursor, batch, values)
    _touch_ancestors(cursor, batch)
    _log_changes(cursor, batch, list(_completed(cursor, batch, values)))
    failpoint("rows_written")
    stored = [batch.public_ids[number - 1] for number in batch.numbers(3) if batch.needed[number]]
    seconds = time.monotonic() - began
    return [(*row, seconds) for row in (*results, *(("Success", public_id) for public_id in stored))]


def _clear_the_way(cursor: SqliteCursor, batch: _Batch, values: Values) -> Iterator[Row]:
    """What is stored already stays or, if it is to be overwritten, goes."""
    for instance in list(stored_instances(cursor, values)):
        batch.needed[instance.number] = instance.is_to_be_written
        if not instance.is_to_be_written:
            yield "Success" if instance.is_own else "AlreadyStored", instance.public_id
        elif instance.internal_id is not None:
            cursor.execute(_STEPS["empty_collected"])
            cursor.execute(_STEPS["recycle"], {"patient": instance.internal_id})
            yield from [("Removed", uuid) for (uuid,) in cursor.execute(_STEPS["collected"]).fetchall()]


def _create_resources(cursor: SqliteCursor, batch: _Batch) -> None:
    for number, (level, public_id) in enumerate(zip(batch.levels, batch.public_ids, strict=True), start=1):
        if not batch.needed[number]:
            continue
        identity = {"public_id": public_id, "level": level}
        found = cursor.execute(_STEPS["find_resource"], identity).fetchone() if level < 3 else None
        if found is None:
            parent = batch.ids[batch.parent(number)] if level else None
            found = cursor.execute(_STEPS["create_resource"], identity | {"parent": parent}).fetchone()
            assert found is not None
            batch.new.add(number)
        batch.ids[number] = found[0]


def _write_rows(cursor: SqliteCursor, batch: _Batch, values: Values) -> None:
    """Rows of new resources only."""

    def rows(kind: str, **columns: str) -> Iterator[dict[str, Any]]:
        lists = [values[f"{kind}_{column}"] for column in columns.values()]
        for number, *row in zip(values[f"{kind}_resources"], *lists, strict=True):
            if number in batch.new:
                yield {"id": batch.ids[number], **dict(zip(columns, row, strict=True))}

    form = {"form": "forms", "stored_size": "stored_sizes", "stored_md5": "stored_hashes"}
    attachments = rows("attachment", type="types", uuid="uuids", size="sizes", md5="hashes", **form)
    cursor.execute_many(_STEPS["attach"], attachments)
    for step, kind in (("add_identifier", "identifier"), ("add_tag", "tag")):
        cursor.execute_many(_STEPS[step], rows(kind, group="groups", element="elements", value="values"))
    metadata = rows("metadata", type="types", value="values")
    stamped = (row | {"value": batch.stamp} if row["value"] is None else row for row in metadata)
    cursor.execute_many(_STEPS["add_metadata"], stamped)


def _touch_ancestors(cursor: SqliteCursor, batch: _Batch) -> None:
    """LastUpdate of every ancestor, and the end of the recycling queue for every patient that is in it."""
    for number, internal_id in batch.ids.items():
        level = batch.levels[number - 1]
        if level < 3:
            cursor.execute(_STEPS["touch"], {"id": internal_id, "stamp": batch.stamp})
        if level == 0 and number not in batch.new:
            cursor.execute(_STEPS["leave_queue"], {"id": internal_id})
            if cursor.rowcount > 0:
                cursor.execute(_STEPS["join_queue"], {"id": internal_id})


def _completed(cursor: SqliteCursor, batch: _Batch, values: Values) -> Iterator[int]:
    """Series of which the numbers 1 to N are all there, once."""
    for number, expected in zip(values["expected_resources"], values["expected_counts"], strict=True):
        if not batch.needed[number]:
            continue
        texts = [text for (text,) in cursor.execute(_STEPS["indices"], {"series": batch.ids[number]})]
        indices = [int(text) if text is not None and _INTEGER.fullmatch(text) else 0 for text in texts]
        if expected and len(indices) == expected and set(indices) == set(range(1, expected + 1)):
            yield number


def _log_changes(cursor: SqliteCursor, batch: _Batch, completed: Sequence[int]) -> None:
    """In the order of the batch: each instance, then what is new above it, from the series up."""
    announced: set[int] = set()
    last_of = {}
    entries: list[tuple[int, int, ChangeType, int]] = []
    for instance in batch.numbers(3):
        if instance not in batch.new:
            continue
        number = instance
        for rank in range(4):
            if number in batch.new and number not in announced:
                announced.add(number)
                entries.append((instance, rank, _NEW[3 - rank], number))
            number = batch.parent(number)
        last_of[batch.parent(instance)] = instance
    entries += [(last_of[series], 4, ChangeType.COMPLETED_SERIES, series) for series in completed if series in last_of]
    cursor.execute_many(
        _STEPS["log"],
        [
            {"change_type": int(kind), "id": batch.ids[number], "level": batch.levels[number - 1], "stamp": batch.stamp}
            for _, _, kind, number in sorted(entries)
        ],
    )
