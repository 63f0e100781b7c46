"""What clients asked and what they were answered, in the order of one clock: the only thing that the checker believes.

A SQLite file, so that hours fit, and so that people can look a finding up afterwards.
"""

import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Self

from workers.load.synthetic import SyntheticInstance

_COMMIT_SECONDS = 0.5
FULL = "the storage area is full"
"""What the detail of such an answer says, of the request or of the node; 0xA700 of DIMSE may have other reasons."""
WITHOUT_EFFECT = "without effect: "
"""How the name of a fault begins that was tried, but hit nothing."""

_SCHEMA = """
CREATE TABLE instances (
    public_id TEXT PRIMARY KEY, patient_id TEXT NOT NULL, study_instance_uid TEXT NOT NULL,
    series_instance_uid TEXT NOT NULL, sop_instance_uid TEXT NOT NULL, data_set_md5 TEXT NOT NULL, size INTEGER NOT NULL
);
CREATE TABLE operations (
    id INTEGER PRIMARY KEY, client TEXT NOT NULL, kind TEXT NOT NULL, subject TEXT NOT NULL, value TEXT NOT NULL,
    began REAL NOT NULL, ended REAL NOT NULL, outcome TEXT NOT NULL, detail TEXT NOT NULL
);
CREATE TABLE followed (follower TEXT NOT NULL, position INTEGER NOT NULL, seq INTEGER NOT NULL,
    PRIMARY KEY (follower, position)) WITHOUT ROWID;
CREATE TABLE faults (began REAL NOT NULL, ended REAL NOT NULL, name TEXT NOT NULL, detail TEXT NOT NULL,
    happened INTEGER NOT NULL);
"""


class Kind(StrEnum):
    """What was asked for."""

    STORE = "store"
    READ = "read"
    DELETE = "delete"
    REVISE = "revise"


class Outcome(StrEnum):
    """What a client may conclude from the answer."""

    DONE = "done"
    """There was an answer, and it says so."""
    REFUSED = "refused"
    """There was an answer, and it says that nothing happened."""
    UNKNOWN = "unknown"
    """No answer, or one that leaves it open: it may have happened, and may still happen."""
    UNEXPECTED = "unexpected"
    """An answer that nothing in the run can explain."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One request of one client; times are seconds since the history began.

    `subject` is a public id (for REVISE: with the metadata), `value` what was sent or found.
    """

    client: str
    kind: Kind
    subject: str
    value: str
    began: float
    ended: float
    outcome: Outcome
    detail: str = ""


@dataclass(frozen=True, slots=True)
class StoredInstance:
    """An instance that somebody tried to store."""

    public_id: str
    patient_id: str
    study_instance_uid: str
    series_instance_uid: str
    sop_instance_uid: str
    data_set_md5: str
    size: int


class History:
    """Written by many threads, read by one when all have ended; the file has to be new."""

    def __init__(self, path: Path, *, new: bool = True) -> None:
        self._database = sqlite3.connect(path, check_same_thread=False)
        self._database.execute("PRAGMA synchronous = OFF")
        if new:
            self._database.executescript(_SCHEMA)
        self._lock = threading.Lock()
        self._begun = time.monotonic()
        self._committed_at = 0.0
        self._acknowledged = 0
        self._faults = 0
        self._refusals = 0

    @classmethod
    def read(cls, path: Path) -> Self:
        """That of a run which is over."""
        return cls(path, new=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._database.commit()
        self._database.close()

    def now(self) -> float:
        """Seconds since the history began."""
        return time.monotonic() - self._begun

    def instance(self, public_id: str, instance: SyntheticInstance, data_set_md5: str) -> None:
        """Note what is about to be stored, once."""
        self._write(
            "INSERT INTO instances VALUES (?, ?, ?, ?, ?, ?, ?)",
            [
                (
                    public_id,
                    instance.patient_id,
                    instance.study_instance_uid,
                    instance.series_instance_uid,
                    instance.sop_instance_uid,
                    data_set_md5,
                    len(instance.data_set),
                )
            ],
        )

    def progress(self) -> tuple[int, int]:
        """Acknowledged stores and faults so far."""
        return self._acknowledged, self._faults

    def refusals(self) -> int:
        """How often a client was told that there is no space."""
        return self._refusals

    def add(self, operation: Operation) -> None:
        """Note what came of a request."""
        self._acknowledged += operation.kind is Kind.STORE and operation.outcome is Outcome.DONE
        self._refusals += FULL in operation.detail
        self._write(
            "INSERT INTO operations (client, kind, subject, value, began, ended, outcome, detail)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            [
                (
                    operation.client,
                    operation.kind,
                    operation.subject,
                    operation.value,
                    operation.began,
                    operation.ended,
                    operation.outcome,
                    operation.detail,
                )
            ],
        )

    def follow(self, follower: str, position: int, numbers: Sequence[int]) -> None:
        """Note a page of change numbers in the order in which they were shown, from `position` on."""
        self._write(
            "INSERT INTO followed VALUES (?, ?, ?)",
            [(follower, position + offset, seq) for offset, seq in enumerate(numbers)],
        )

    def fault(self, began: float, name: str, detail: str, *, happened: bool = True) -> None:
        """Note a fault that is over; one without effect does not count."""
        self._faults += happened
        self._write("INSERT INTO faults VALUES (?, ?, ?, ?, ?)", [(began, self.now(), name, detail, happened)])

    def _write(self, statement: str, rows: Iterable[Sequence[object]]) -> None:
        with self._lock:
            self._database.executemany(statement, rows)
            if time.monotonic() - self._committed_at > _COMMIT_SECONDS:
                self._database.commit()
                self._committed_at = time.monotonic()

    # Reading -----------------------------------------------------------------------------------------------------

    def instances(self) -> Iterator[StoredInstance]:
        """Every instance that somebody tried to store."""
        return (StoredInstance(*row) for row in self._database.execute("SELECT * FROM instances ORDER BY public_id"))

    def operations(self, *kinds: Kind) -> Iterator[Operation]:
        """The operations of these kinds, subject by subject, in the order in which they began."""
        marks = ", ".join("?" * len(kinds))
        query = (
            "SELECT client, kind, subject, value, began, ended, outcome, detail FROM operations"  # noqa: S608 - marks
            f" WHERE kind IN ({marks}) ORDER BY subject, began, id"
        )
        rows = self._database.execute(query, kinds)
        for client, kind, subject, value, began, ended, outcome, detail in rows:
            yield Operation(client, Kind(kind), subject, value, began, ended, Outcome(outcome), detail)

    def followers(self) -> dict[str, list[int]]:
        """What each follower was shown, in order."""
        shown: dict[str, list[int]] = {}
        for follower, seq in self._database.execute("SELECT follower, seq FROM followed ORDER BY follower, position"):
            shown.setdefault(follower, []).append(seq)
        return shown

    def counts(self) -> dict[str, int]:
        """How often what happened: ``store done``, ``fault node killed``, ``without effect: wire cut``, …"""
        found = dict(
            self._database.execute(
                "SELECT kind || ' ' || outcome, count(*) FROM operations GROUP BY kind, outcome ORDER BY 1"
            )
        )
        for name, number in sorted(Counter(name for _, _, name, _ in self.faults()).items()):
            found[name if name.startswith(WITHOUT_EFFECT) else f"fault {name}"] = number
        return found

    def faults(self) -> list[tuple[float, float, str, str]]:
        """Began, ended, name and detail of each."""
        query = "SELECT began, ended, CASE WHEN happened THEN '' ELSE ? END || name, detail FROM faults ORDER BY began"
        return list(self._database.execute(query, [WITHOUT_EFFECT]))

    def acknowledged_at(self) -> Iterator[float]:
        """When each store was acknowledged."""
        query = "SELECT ended FROM operations WHERE kind = 'store' AND outcome = 'done'"
        return (ended for (ended,) in self._database.execute(query))
