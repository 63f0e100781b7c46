"""The load generator's memory of what it sent and what was acknowledged, kept apart from the cluster it tests."""

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from cluster.dicom.public_ids import public_ids


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
CREATE INDEX latencies ON deliveries (latency_seconds) WHERE acknowledged_at IS NOT NULL;
"""


class Ledger:
    """A SQLite file that belongs to one thread; it has to be new."""

    def __init__(self, path: Path) -> None:
        self._database = sqlite3.connect(path)
        # A ledger whose program died proves nothing, so it need not survive a power failure.
        self._database.execute("PRAGMA synchronous = OFF")
        self._database.executescript(_SCHEMA)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._database.close()

    def add(self, deliveries: Sequence[Delivery]) -> None:
        """Write down what senders reported; raises sqlite3.IntegrityError if an instance is reported twice."""
        with self._database:
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
