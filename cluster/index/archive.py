"""The files of an archive (ZIP) of some resources, in order, under the names that Orthanc gives them.

Read page by page while it is sent, so that an archive of any size takes the memory of one page, and of the names of its
folders. Source: interop/rest.md 6, "Paths inside a ZIP archive".
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import psycopg

from cluster.database import Database, Row, queries
from cluster.errors import UnknownResource
from cluster.index.attachments import Attachment

_SQL = queries("cluster.index", "archive.sql")

FILES_PER_PAGE = 1_000

_LEVELS = ("Patient", "Study", "Series")
_FORBIDDEN = re.compile(r"[^A-Za-z0-9 ._-]")
_SPACES = re.compile(" +")


class ArchivedFile(NamedTuple):
    """Path inside the archive, and where the bytes are."""

    path: str
    attachment: Attachment


@dataclass(frozen=True, slots=True)
class _Series:
    internal_id: int
    is_whole: bool
    is_numbered: bool
    instances: int
    folder: str
    modality: str


class _Names:
    """Gives a name to each thing, different from those of its neighbours."""

    def __init__(self) -> None:
        self._names: dict[tuple[str, int], str] = {}
        self._uses: dict[tuple[str, str], int] = {}

    def path(self, parent: str, internal_id: int, name: str) -> str:
        known = self._names.get((parent, internal_id))
        if known is None:
            number = self._uses.get((parent, name.lower()), 0) + 1
            self._uses[parent, name.lower()] = number
            known = f"{parent}{name if number == 1 else f'{name}-{number}'}/"
            self._names[parent, internal_id] = known
        return known


def archived_files(database: Database, public_ids: Sequence[str]) -> Iterator[ArchivedFile]:
    """All DICOM files of resources of any level, each once.

    Raises:
        UnknownResource: one of the ids is unknown; at the first step.
    """
    ids = list(public_ids)
    series = _read_series(database, ids)
    while series:
        # Small series share a statement; a large one is read in pages.
        together = [series.pop(0)]
        number = together[0].instances
        while series and number + series[0].instances <= FILES_PER_PAGE:
            number += series[0].instances
            together.append(series.pop(0))
        yield from _files(database, together, ids)


def archive_size(database: Database, public_ids: Sequence[str]) -> tuple[int, int]:
    """How many files an archive of these resources has, and of how many bytes; raises UnknownResource."""
    ids = list(public_ids)
    _refuse_unknown(database, ids)
    ((files, size),) = database.run(
        "archive_size", lambda cursor: cursor.execute(_SQL["size"], {"public_ids": ids}).fetchall(), read_only=True
    )
    return int(files), int(size)


def _refuse_unknown(database: Database, ids: list[str]) -> None:
    known = database.run(
        "archive_known", lambda cursor: cursor.execute(_SQL["known"], {"public_ids": ids}).fetchall(), read_only=True
    )
    unknown = set(ids) - {public_id for (public_id,) in known}
    if unknown:
        raise UnknownResource(f"no resource {min(unknown)}")


def _read_series(database: Database, ids: list[str]) -> list[_Series]:
    _refuse_unknown(database, ids)
    rows = database.run(
        "archive_series", lambda cursor: cursor.execute(_SQL["series"], {"public_ids": ids}).fetchall(), read_only=True
    )
    names = _Names()
    found = []
    for series, study, patient, is_whole, instances, is_numbered, *tags in rows:
        folder = ""
        for level, internal_id, parts in zip(_LEVELS, (patient, study, series), tags, strict=True):
            folder = names.path(folder, internal_id, folder_name(level, parts))
        found.append(_Series(series, is_whole, bool(is_numbered), instances, folder, tags[2][1] or ""))
    return found


def _files(database: Database, together: Sequence[_Series], ids: list[str]) -> Iterator[ArchivedFile]:
    by_id = {series.internal_id: series for series in together}
    counters = dict.fromkeys(by_id, 0)
    after = (0, 0)
    while True:
        values = {
            "series": list(by_id),
            "single_series": [series.internal_id for series in together if not series.is_whole],
            "public_ids": ids,
            "after_series": after[0],
            "after_instance": after[1],
            "limit": FILES_PER_PAGE,
        }

        def page(cursor: psycopg.Cursor[Row], values: dict[str, object] = values) -> list[Row]:
            return cursor.execute(_SQL["instances"], values).fetchall()

        rows = database.run("archive_instances", page, read_only=True)
        for series_id, _, _, index, *attachment in rows:
            series = by_id[series_id]
            number = int(index) if series.is_numbered and index and index.isdecimal() else counters[series_id]
            counters[series_id] += 1
            yield ArchivedFile(series.folder + file_name(series.modality, number), Attachment(*attachment))
        if len(rows) < FILES_PER_PAGE:
            return
        after = (rows[-1][0], rows[-1][1])


def folder_name(level: str, parts: Sequence[str | None]) -> str:
    """Name of a folder from the values of some tags: ASCII, and nothing that leads out of the folder."""
    cleaned = (_SPACES.sub(" ", _FORBIDDEN.sub("", (part or "").replace("^", " "))).strip() for part in parts)
    name = " - ".join(part for part in cleaned if part.strip("."))
    return name or f"Unknown {level}"


def file_name(modality: str, number: int) -> str:
    """Name of a file: eight characters as ISO 9660 has them, and more only if the number needs them."""
    prefix = "".join(character for character in modality.upper() if character.isascii() and character.isalnum())[:2]
    return f"{prefix}{number:0{8 - len(prefix)}d}.dcm"
