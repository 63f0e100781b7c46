"""Tags that are asked for by name, whether they are the resource's own, above or below it, computed, or in a file.

A page of resources takes one statement. What the index does not have is left to whoever can read files: `Known.file` is
the attachment to look into. Source: interop/tags.md 1, interop/rest.md 8.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg import sql

from cluster.database import Database, Row, filled_in, queries
from cluster.dicom.computed_tags import COMPUTED_TAGS, ComputedTag
from cluster.dicom.levels import Level
from cluster.dicom.main_tags import MAIN_TAGS, REQUEST_ATTRIBUTES_SEQUENCE, Tag
from cluster.dicom.tag_names import hexadecimal
from cluster.index.attachments import Attachment
from cluster.index.enumerations import MetadataType
from cluster.index.value_tests import Bound

_SQL = queries("cluster.index", "requested_tags.sql")

_LATER_TAGS = frozenset({(0x0008, 0x0201), (0x0040, 0x0244), (0x0040, 0x0245), (0x0040, 0x0275)})
"""Main tags since 1.12.5, which resources without a signature do not have (interop/tags.md 1)."""


@dataclass(slots=True)
class Known:
    """What is known of the requested tags of one resource.

    Attributes:
        sequences: in the form of `GET /instances/{id}/tags`.
        missing: what only a file can tell; a file may not have it either.
        file: the DICOM file of an instance of the resource; None if there is none.
    """

    texts: dict[Tag, str] = field(default_factory=dict)
    sequences: dict[Tag, list[dict[str, Any]]] = field(default_factory=dict)
    missing: frozenset[Tag] = frozenset()
    file: Attachment | None = None


def requested_tags(
    database: Database, level: Level, public_ids: Sequence[str], tags: Sequence[Tag]
) -> dict[str, Known]:
    """What the index knows of some tags of resources of a level, by public id; unknown ids are left out."""
    computed = [COMPUTED_TAGS[tag] for tag in dict.fromkeys(tags) if tag in COMPUTED_TAGS]
    others = [tag for tag in dict.fromkeys(tags) if tag not in COMPUTED_TAGS]
    if not public_ids:
        return {}
    bound = Bound()
    statement = filled_in(
        _SQL["requested_tags"],
        level=bound.bind(int(level)),
        public_ids=bound.bind(list(public_ids)),
        # The way down is needed only for what is not above.
        descend=bound.bind(any(not _is_above(tag, level) for tag in others)),
        groups=bound.bind([group for group, _ in others]),
        elements=bound.bind([element for _, element in others]),
        computed=sql.SQL("\n").join(filled_in(_SQL[tag.name]) for tag in computed),
    )

    def work(cursor: psycopg.Cursor[Row]) -> list[Row]:
        return cursor.execute(statement, bound.values).fetchall()

    rows = database.run("requested_tags", work, read_only=True)
    return {row[0]: _known(level, others, computed, row) for row in rows}


def _is_above(tag: Tag, level: Level) -> bool:
    return any(tag in MAIN_TAGS[other] for other in range(level + 1))


def _known(level: Level, tags: Sequence[Tag], computed: Sequence[ComputedTag], row: Row) -> Known:
    _, main_tags, metadata, attachment, *values = row
    rows = {(int(found), (int(group), int(element))): value or "" for found, group, element, value in main_tags or ()}
    kinds: dict[tuple[int, int], str] = {(found, kind): value or "" for found, kind, value in metadata or ()}
    known = Known(file=Attachment(*attachment) if attachment else None)
    missing = set()
    for tag in tags:
        if tag == REQUEST_ATTRIBUTES_SEQUENCE:
            sequence = _sequence(kinds.get((Level.SERIES, MetadataType.MAIN_DICOM_SEQUENCES), ""), tag)
            if sequence is not None:
                known.sequences[tag] = sequence
                continue
        levels = _levels(tag, level)
        found = next((rows[other, tag] for other in levels if (other, tag) in rows), None)
        if found is not None:
            known.texts[tag] = found
        elif not any(_was_main_tag(kinds, other, tag) for other in levels):
            missing.add(tag)
    for computed_tag, value in zip(computed, values, strict=True):
        if value is not None and computed_tag.level <= level:
            known.texts[computed_tag.tag] = value
    known.missing = frozenset(missing)
    return known


def _levels(tag: Tag, level: Level) -> list[Level]:
    """Levels that have rows of a tag, the nearest first: itself, above, below. A study repeats its patient's."""
    order = map(Level, (*range(level, -1, -1), *range(level + 1, Level.INSTANCE + 1)))
    of_patient = tag in MAIN_TAGS[Level.PATIENT]
    return [other for other in order if tag in MAIN_TAGS[other] or (of_patient and other is Level.STUDY)]


def _was_main_tag(kinds: Mapping[tuple[int, int], str], level: Level, tag: Tag) -> bool:
    """Whether a resource would have a row of the tag if its first instance had a value (metadata 15)."""
    signature = kinds.get((level, MetadataType.MAIN_DICOM_TAGS_SIGNATURE))
    if signature is None:
        return tag not in _LATER_TAGS
    return hexadecimal(tag) in signature.split(";")


def _sequence(metadata: str, tag: Tag) -> list[dict[str, Any]] | None:
    """One of the sequences in metadata 16 (interop/tags.md 3)."""
    try:
        value = json.loads(metadata)["Sequences"][hexadecimal(tag)]["Value"]
    except (ValueError, KeyError, TypeError):
        return None
    return value if isinstance(value, list) else None
