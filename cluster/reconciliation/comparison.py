"""All rows compared with all files, beside whoever writes.

Rows and files are looked at in ranges of UUIDs that fit into memory. Between two looks anything may happen, so what
looks wrong is asked for once more, in an order in which no writer can have made it look so:

* A file without a row is one if it is older than the grace, no row names it after it was listed, it is still there, and
  nobody is about to remove it.
* A row without a file is one if the row is still there after the file was missed: a deletion takes the row first, and a
  writer the file.
"""

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from cluster.database import Database
from cluster.errors import UnknownResource
from cluster.index.stored_files import Claim, claims_between, count_rows, going_files, named_files
from cluster.reconciliation.findings import Finding, Kind, finding_of
from cluster.storage.filesystem import FilesystemStorageArea
from cluster.storage.inventory import FOLDERS, StoredFile, stored_files

KEYS = FOLDERS * FOLDERS
"""Values of the first four hexadecimal digits of a UUID."""

ROWS_AT_A_TIME = 100_000
_PIECE_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Options:
    """How to compare."""

    hashes: bool = False
    """Whether MD5s are computed, which reads every file."""
    grace_seconds: float = 3600.0
    """A younger file may be one whose row is on its way."""
    rows_at_a_time: int = ROWS_AT_A_TIME
    worked: Callable[[float], object] = lambda seconds: None
    """Is told how long a piece of work took, and may rest."""


@dataclass(slots=True)
class Seen:
    """What was compared."""

    rows: int = 0
    files: int = 0
    size: int = 0
    """Bytes of the files."""
    young: int = 0
    """Files without a row that are younger than the grace: no finding."""


def ranges(database: Database, begin: int, rows_at_a_time: int = ROWS_AT_A_TIME) -> list[range]:
    """Ranges of keys from `begin` on, each of which has about that many rows."""
    step = max(1, KEYS // (1 + count_rows(database) // rows_at_a_time))
    return [range(first, min(first + step, KEYS)) for first in range(begin, KEYS, step)]


class Comparison:
    """The comparison of rows and files; `seen` grows with each range."""

    def __init__(self, database: Database, area: FilesystemStorageArea, options: Options) -> None:
        self._database = database
        self._area = area
        self._options = options
        self.seen = Seen()

    def compare(self, keys: range, on_key: Callable[[int], object] = lambda key: None) -> list[Finding]:
        """Findings of one range; `on_key` hears how far it is.

        Raises:
            Transient, DatabaseRefused: as `Database.run`.
            StorageFailed: the storage area cannot be read.
        """
        upper = f"{keys.stop:04x}" if keys.stop < KEYS else None
        started = time.monotonic()
        claims = claims_between(self._database, f"{keys.start:04x}" if keys.start else "", upper)
        self._options.worked(time.monotonic() - started)
        self.seen.rows += len(claims)
        files: dict[str, StoredFile] = {}
        for first in range(keys.start, keys.stop, FOLDERS):
            started = time.monotonic()
            last = min(first + FOLDERS, keys.stop)
            files |= {file.uuid: file for file in stored_files(self._area.root, first, last)}
            self._options.worked(time.monotonic() - started)
            on_key(last)
        self.seen.files += len(files)
        self.seen.size += sum(file.size for file in files.values())
        return [
            *self._without_row([files[uuid] for uuid in sorted(files.keys() - claims.keys())]),
            *self._without_file(claims, sorted(claims.keys() - files.keys())),
            *self._wrong_bytes(claims, files),
        ]

    def _without_row(self, suspects: list[StoredFile]) -> Iterator[Finding]:
        now = time.time()
        old = {file.uuid: file for file in suspects if now - file.modified >= self._options.grace_seconds}
        self.seen.young += len(suspects) - len(old)
        found = old.keys() - named_files(self._database, old.keys()).keys()
        found -= going_files(self._database, found)
        for uuid in sorted(found):
            if self._area.age_of(uuid) is not None:
                yield Finding(Kind.FILE_WITHOUT_ROW, uuid, found=old[uuid].size)

    def _without_file(self, claims: Mapping[str, Claim], suspects: list[str]) -> Iterator[Finding]:
        lost = [uuid for uuid in suspects if not self._exists(uuid)]
        # What came after the listing is not looked at; its size would be.
        for uuid, named in sorted(named_files(self._database, lost).items()):
            yield finding_of(Kind.ROW_WITHOUT_FILE, named, stated=claims[uuid].size)

    def _wrong_bytes(self, claims: Mapping[str, Claim], files: Mapping[str, StoredFile]) -> Iterator[Finding]:
        wrong = {uuid for uuid in claims.keys() & files.keys() if claims[uuid].size != files[uuid].size}
        for uuid, named in sorted(named_files(self._database, wrong).items()):
            yield finding_of(Kind.WRONG_SIZE, named, stated=claims[uuid].size, found=files[uuid].size)
        if self._options.hashes:
            right = sorted(claims.keys() & files.keys() - wrong)
            yield from self._wrong_hashes({uuid: claims[uuid].md5 for uuid in right if claims[uuid].md5})

    def _wrong_hashes(self, expected: Mapping[str, str]) -> Iterator[Finding]:
        found = {}
        for uuid, md5 in expected.items():
            started = time.monotonic()
            actual = self._md5(uuid)
            self._options.worked(time.monotonic() - started)
            if actual not in (md5, None):
                found[uuid] = actual
        for uuid, named in sorted(named_files(self._database, found.keys()).items()):
            yield finding_of(Kind.WRONG_MD5, named, stated=expected[uuid], found=found[uuid])

    def _md5(self, uuid: str) -> str | None:
        digest = hashlib.md5(usedforsecurity=False)
        try:
            with self._area.open(uuid) as file:
                while piece := file.read(_PIECE_BYTES):
                    digest.update(piece)
        except UnknownResource:
            return None  # deleted meanwhile, or else the next comparison says so
        return digest.hexdigest()

    def _exists(self, uuid: str) -> bool:
        try:
            return self._area.age_of(uuid) is not None
        except UnknownResource:
            return False  # no name that a file could have
