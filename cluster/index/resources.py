"""Reads resources: their ids, and what the REST API shows of them.

Lists are read page by page, each page a transaction of its own, because an archive can hold more ids than a process has
memory. Pages continue behind the last id, so a resource that is there all the time is listed exactly once.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import psycopg

from cluster.database import Database, Row, queries
from cluster.dicom.levels import Level
from cluster.dicom.main_tags import Tag
from cluster.index.enumerations import MetadataType

_SQL = queries("cluster.index", "resources.sql")

IDS_PER_PAGE = 10_000
RESOURCES_PER_PAGE = 500

_INTEGER = re.compile(r"[+-]?[0-9]{1,9}")

SeriesStatus = Literal["Unknown", "Missing", "Inconsistent", "Complete"]


@dataclass(frozen=True, slots=True)
class Detail:
    """What is read of a resource besides the usual."""

    all_metadata: bool = False
    attachments: bool = False


@dataclass(frozen=True, slots=True)
class AttachmentInfo:
    """One attachment of a resource: `kind` is its `fileType`, sizes are in bytes."""

    kind: int
    uuid: str
    compressed_size: int
    size: int
    compressed_md5: str
    md5: str


@dataclass(frozen=True, slots=True)
class Resource:
    """One resource as the index holds it."""

    level: Level
    public_id: str
    parent: str | None
    main_tags: Mapping[Tag, str]
    """A study's include those of its patient."""
    metadata: Mapping[int, str]
    """By type; only those that the REST API usually shows, unless all were asked for."""
    labels: Sequence[str]
    children: Sequence[str]
    """Public ids, ascending."""
    is_stable: bool
    """Whether it got no instance for as long as StableAge says, on whatever node; always true for an instance."""
    file_uuid: str | None = None
    file_size: int | None = None
    """Bytes of an instance's DICOM file, uncompressed."""
    indices_in_series: Sequence[str] = field(default=())
    """IndexInSeries of a series' instances, in no order."""
    attachments: Sequence[AttachmentInfo] = field(default=())
    """Only if they were asked for."""

    def number(self, kind: MetadataType) -> int | None:
        """A metadata value as a number; None if it is missing or no number."""
        return _integer(self.metadata.get(kind))

    @property
    def series_status(self) -> SeriesStatus:
        """Whether all instances of the series arrived (interop/ingest.md 4, interop/enumerations.md).

        Instances without IndexInSeries are left out; one number twice counts once.
        """
        expected = self.number(MetadataType.EXPECTED_NUMBER_OF_INSTANCES)
        indices = {_integer(text) for text in self.indices_in_series}
        if expected is None or None in indices:
            return "Unknown"
        if any(not 1 <= index <= expected for index in indices if index is not None):
            return "Inconsistent"
        return "Complete" if len(indices) == expected else "Missing"


_USUAL = Detail()


def public_ids(database: Database, level: Level, since: int = 0, limit: int | None = None) -> Iterator[list[str]]:
    """Pages of public ids of a level, ascending, leaving out the first `since`; at most `limit` ids altogether."""
    pages = _ids(database, "list_resources", level, (since, limit), None)
    return (ids for ids, _ in pages)


def resources(
    database: Database, level: Level, since: int = 0, limit: int | None = None, detail: Detail = _USUAL
) -> Iterator[list[Resource]]:
    """The same resources as `public_ids`, expanded."""
    pages = _ids(database, "expand_resources", level, (since, limit), detail)
    return (expanded for _, expanded in pages)


def resource(database: Database, level: Level, public_id: str, detail: Detail = _USUAL) -> Resource | None:
    """One resource of a level, or None if there is none of that id."""
    return next(iter(resources_of(database, level, [public_id], detail)), None)


def resources_of(
    database: Database, level: Level, public_ids: Sequence[str], detail: Detail = _USUAL
) -> list[Resource]:
    """Resources of a level in the order of their ids as given; unknown ids are left out."""
    ids = list(public_ids)
    found = database.run("expand_resources", lambda cursor: _expand(cursor, level, ids, detail), read_only=True)
    by_id = {resource.public_id: resource for resource in found}
    return [by_id[public_id] for public_id in ids if public_id in by_id]


def _ids(
    database: Database, name: str, level: Level, window: tuple[int, int | None], detail: Detail | None
) -> Iterator[tuple[list[str], list[Resource]]]:
    """Pages of ids; with `detail`, also expanded, in the same snapshot."""
    offset, left = window
    page_size = IDS_PER_PAGE if detail is None else RESOURCES_PER_PAGE
    after = ""
    while left is None or left > 0:
        wanted = page_size if left is None else min(page_size, left)
        values = {"level": int(level), "after": after, "limit": wanted, "offset": offset}

        def page(cursor: psycopg.Cursor[Row], values: Mapping[str, Any] = values) -> tuple[list[str], list[Resource]]:
            ids = [row[0] for row in cursor.execute(_SQL["list_public_ids"], values)]
            return ids, [] if detail is None else _expand(cursor, level, ids, detail)

        ids, expanded = database.run(name, page, read_only=True)
        yield ids, expanded
        if len(ids) < wanted:
            return
        after, offset = ids[-1], 0
        left = None if left is None else left - len(ids)


def _expand(cursor: psycopg.Cursor[Row], level: Level, ids: list[str], detail: Detail) -> list[Resource]:
    values = {
        "level": int(level),
        "public_ids": ids,
        "all_metadata": detail.all_metadata,
        "attachments": detail.attachments,
    }
    return [_resource(level, row) for row in cursor.execute(_SQL["expand_resources"], values)] if ids else []


def _resource(level: Level, row: Row) -> Resource:
    public_id, parent, tags, metadata, labels, children, indices, is_stable, uuid, size, attachments = row
    return Resource(
        level=level,
        public_id=public_id,
        parent=parent,
        main_tags={(group, element): value or "" for group, element, value in tags or ()},
        metadata={int(kind): value or "" for kind, value in (metadata or {}).items()},
        labels=sorted(labels),
        children=children,
        is_stable=is_stable,
        file_uuid=uuid,
        file_size=size,
        indices_in_series=[text or "" for text in indices],
        attachments=[_attachment(*values) for values in attachments or ()],
    )


def _attachment(
    kind: int, uuid: str, compressed_size: int, size: int, compressed_md5: str | None, md5: str | None
) -> AttachmentInfo:
    return AttachmentInfo(kind, uuid, compressed_size, size, compressed_md5 or "", md5 or "")


def _integer(text: str | None) -> int | None:
    return int(text) if text is not None and _INTEGER.fullmatch(text) else None
