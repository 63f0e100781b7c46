"""The load generator's memory of what it sent and what was acknowledged, kept apart from the cluster it tests."""

import json
import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from cluster.dicom.public_ids import public_ids
from cluster.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class Delivery:
    """What became of one instance, as its sender tells it; times are seconds of one monotonic clock."""

    sender: int
    patient_id: str
    study_instance_uid: str
    series_instance_uid: str
    sop_instance_uid: str
    data_set_md5: str
    size: int
    """Bytes of the data set."""
    target: str
    """``host:port`` of the last attempt."""
    status: int | None
    """DIMSE status of the last attempt; None if no answer came."""
    acknowledged_at: float | None
    latency_seconds: float | None
    """From the first byte of the acknowledged attempt to its answer."""
    failures: tuple[tuple[str, str], ...] = ()
    """Target and reason of every failed attempt."""

    @property
    def attempts(self) -> int:
        """How often it was sent, or tried to be sent."""
        return len(self.failures) + (self.acknowledged_at is not None)


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """An instance that the cluster has taken responsibility for."""

    patient_id: str
    study_instance_uid: str
    series_instance_uid: str
    sop_instance_uid: str
    public_id: str
    data_set_md5: str


_SCHEMA = """
CREATE TABLE deliveries (
    sop_instance_uid TEXT PRIMARY KEY,
    patient_id TEXT NOT NULL,
    study_instance_uid TEXT NOT NULL,
    series_instance_uid TEXT NOT NULL,
    public_id TEXT NOT NULL,
    data_set_md5 TEXT NOT NULL,
    size INTEGER NOT NULL,
    sender INTEGER NOT NULL,
    target TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    status INTEGER,
    acknowledged_at REAL,
    latency_seconds REAL
);
CREATE TABLE failures (sop_instance_uid TEXT NOT NULL, target TEXT NOT NULL, reason TEXT NOT NULL);
CREATE TABLE searches (began REAL NOT NULL, seconds REAL NOT NULL, failure TEXT NOT NULL);
CREATE TABLE metrics (at REAL NOT NULL, url TEXT NOT NULL, name TEXT NOT NULL, value REAL NOT NULL);
CREATE TABLE run (options TEXT NOT NULL);
CREATE INDEX latencies ON deliveries (latency_seconds) WHERE acknowledged_at IS NOT NULL;
"""


class Ledger:
    """A SQLite file: new, or that of an earlier run which is to go on. What writes may be called from any thread."""

    def __init__(self, path: Path) -> None:
        is_new = not path.exists()
        self._database = sqlite3.connect(path, check_same_thread=False)
        # A ledger whose program died proves nothing, so it need not survive a power failure.
        self._database.execute("PRAGMA synchronous = OFF")
        self._lock = threading.Lock()
        if is_new:
            self._database.executescript(_SCHEMA)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._database.close()

    def add(self, deliveries: Sequence[Delivery]) -> None:
        """Write down what senders reported; raises sqlite3.IntegrityError if an instance is reported twice."""
        with self._lock, self._database:
            self._database.executemany(
                "INSERT INTO deliveries (sop_instance_uid, patient_id, study_instance_uid, series_instance_uid,"
                " public_id, data_set_md5, size, sender, target, attempts, status, acknowledged_at, latency_seconds)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                map(_row, deliveries),
            )
            self._database.executemany(
                "INSERT INTO failures (sop_instance_uid, target, reason) VALUES (?, ?, ?)",
                ((delivery.sop_instance_uid, *failure) for delivery in deliveries for failure in delivery.failures),
            )

    def options(self, options: Mapping[str, object]) -> None:
        """Write down what the run does.

        Raises ConfigurationError if that is not what an earlier run in this file did.
        """
        text = json.dumps(options, sort_keys=True)
        earlier = self.earlier_options()
        if earlier is None:
            with self._lock, self._database:
                self._database.execute("INSERT INTO run VALUES (?)", (text,))
            return
        for name, value in json.loads(text).items():
            if earlier.get(name) != value:
                raise ConfigurationError(f"--{name}", f"is {value}; the run to be resumed had {earlier.get(name)}")

    def earlier_options(self) -> dict[str, Any] | None:
        """What the run in this file does; None if the file is new."""
        row = self._database.execute("SELECT options FROM run").fetchone()
        options: dict[str, Any] | None = json.loads(row[0]) if row else None
        return options

    def go_on(self) -> dict[int, int]:
        """Forget what was never acknowledged; how many instances each sender has behind it."""
        with self._lock, self._database:
            self._database.execute("DELETE FROM deliveries WHERE acknowledged_at IS NULL")
        return dict(self._database.execute("SELECT sender, count(*) FROM deliveries GROUP BY sender"))

    def search(self, began: float, seconds: float, failure: str) -> None:
        """Note a search that went on beside."""
        with self._lock, self._database:
            self._database.execute("INSERT INTO searches VALUES (?, ?, ?)", (began, seconds, failure))

    def metrics(self, at: float, url: str, values: Mapping[str, float]) -> None:
        """Note what a server said of itself."""
        with self._lock, self._database:
            self._database.executemany(
                "INSERT INTO metrics VALUES (?, ?, ?, ?)", [(at, url, name, value) for name, value in values.items()]
            )

    def a_study(self, place: float) -> str | None:
        """Study Instance UID of an acknowledged instance, somewhere from the beginning (0) to the end (1)."""
        with self._lock:
            row = self._database.execute(
                "SELECT study_instance_uid FROM deliveries WHERE acknowledged_at IS NOT NULL"
                " AND rowid >= ? * (SELECT max(rowid) FROM deliveries) LIMIT 1",
                (place,),
            ).fetchone()
        return row[0] if row else None

    def deliveries(self) -> Iterator[tuple[float, float]]:
        """When each acknowledged instance was, and its latency in seconds; in the order of time."""
        yield from self._database.execute(
            "SELECT acknowledged_at, latency_seconds FROM deliveries WHERE acknowledged_at IS NOT NULL ORDER BY 1"
        )

    def searches(self) -> list[tuple[float, float, str]]:
        """Began, seconds and failure (empty: none) of each search."""
        return list(self._database.execute("SELECT began, seconds, failure FROM searches ORDER BY began"))

    def measured(self) -> dict[tuple[str, str], list[tuple[float, float]]]:
        """What servers said of themselves: by address and name, times and values; without what never changed."""
        found: dict[tuple[str, str], list[tuple[float, float]]] = {}
        query = (
            "SELECT url, name, at, value FROM metrics WHERE (url, name) IN"
            " (SELECT url, name FROM metrics GROUP BY url, name HAVING min(value) < max(value)) ORDER BY url, name, at"
        )
        for url, name, at, value in self._database.execute(query):
            found.setdefault((url, name), []).append((at, value))
        return found

    def acknowledged(self, batch: int = 5000) -> Iterator[list[Acknowledged]]:
        """Everything that has to be in the archive now, in batches."""
        cursor = self._database.execute(
            "SELECT patient_id, study_instance_uid, series_instance_uid, sop_instance_uid, public_id, data_set_md5"
            " FROM deliveries WHERE acknowledged_at IS NOT NULL"
        )
        while rows := cursor.fetchmany(batch):
            yield [Acknowledged(*row) for row in rows]

    def totals(self) -> tuple[int, int, int, int]:
        """Instances sent, of these acknowledged, attempts of all, bytes of acknowledged data sets."""
        (row,) = self._database.execute(
            "SELECT count(*), count(acknowledged_at), coalesce(sum(attempts), 0),"
            " coalesce(sum(size) FILTER (WHERE acknowledged_at IS NOT NULL), 0) FROM deliveries"
        )
        return (row[0], row[1], row[2], row[3])

    def last_acknowledged_at(self) -> float | None:
        """When the last Success came, on the senders' clock."""
        (row,) = self._database.execute("SELECT max(acknowledged_at) FROM deliveries")
        last: float | None = row[0]
        return last

    def latency_seconds(self, percentile: float) -> float | None:
        """Nearest-rank percentile of the acknowledged attempts; None if there are none."""
        acknowledged = self.totals()[1]
        rank = max(0, -(-acknowledged * percentile // 100) - 1)
        row = self._database.execute(
            "SELECT latency_seconds FROM deliveries WHERE acknowledged_at IS NOT NULL"
            " ORDER BY latency_seconds LIMIT 1 OFFSET ?",
            (int(rank),),
        ).fetchone()
        return row[0] if row else None

    def per_target(self) -> dict[str, int]:
        """Acknowledged instances by target."""
        return dict(
            self._database.execute(
                "SELECT target, count(acknowledged_at) FROM deliveries GROUP BY target ORDER BY target"
            )
        )

    def failures(self) -> dict[str, int]:
        """Failed attempts by reason, the most frequent first."""
        return dict(
            self._database.execute(
                "SELECT reason, count(*) FROM failures GROUP BY reason ORDER BY count(*) DESC, reason"
            )
        )


def _row(delivery: Delivery) -> tuple[str | int | float | None, ...]:
    uids = (
        delivery.patient_id,
        delivery.study_instance_uid,
        delivery.series_instance_uid,
        delivery.sop_instance_uid,
    )
    return (
        delivery.sop_instance_uid,
        delivery.patient_id,
        delivery.study_instance_uid,
        delivery.series_instance_uid,
        public_ids(*uids).instance,
        delivery.data_set_md5,
        delivery.size,
        delivery.sender,
        delivery.target,
        delivery.attempts,
        delivery.status,
        delivery.acknowledged_at,
        delivery.latency_seconds,
    )
