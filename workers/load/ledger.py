"""The load generator's memory of what it sent and what was acknowledged, kept apart from the cluster it tests."""

import json
import sqlite3
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Self

from cluster.dicom.public_ids import public_ids
from cluster.errors import ConfigurationError
from workers.load.delivery import Acknowledged, Delivery, Failure
from workers.load.figures import Figures
from workers.load.ledger_tables import SCHEMA, TIMES

__all__ = ["Acknowledged", "Delivery", "Failure", "Keeps", "Ledger"]

Keeps = Literal["first", "last", "either"]
"""Which of two contents an archive keeps that were sent under the same identifiers."""

_EXPECTED = "acknowledged_at IS NOT NULL AND public_id NOT IN (SELECT public_id FROM deletions)"
_IDENTIFIERS = "patient_id, study_instance_uid, series_instance_uid, sop_instance_uid, public_id"
_CONTENT = {
    "first": "data_set_md5, NULL",
    "last": "CASE WHEN second_acknowledged THEN second_md5 ELSE data_set_md5 END,"
    " CASE WHEN second_acknowledged THEN NULL ELSE second_md5 END",
    "either": "data_set_md5, second_md5",
}


class Ledger(Figures):
    """A SQLite file: new, or that of an earlier run which is to go on. What writes may be called from any thread.

    Times are seconds of this machine's monotonic clock; those of a file from before a restart are moved to it.
    """

    def __init__(self, path: Path) -> None:
        is_new = not path.exists()
        self._database = sqlite3.connect(path, check_same_thread=False)
        # A ledger whose program died proves nothing, so it need not survive a power failure.
        self._database.execute("PRAGMA synchronous = OFF")
        self._lock = threading.RLock()
        if is_new:
            self._database.executescript(SCHEMA)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._database.close()

    def add(self, deliveries: Sequence[Delivery]) -> None:
        """Write down what senders reported; raises sqlite3.IntegrityError if an instance is reported twice."""
        with self._lock, self._database:
            self._database.executemany(
                "INSERT INTO deliveries (sop_instance_uid, patient_id, study_instance_uid, series_instance_uid,"
                " public_id, sop_class_uid, transfer_syntax_uid, data_set_md5, second_md5, second_acknowledged, size,"
                " sender, target, attempts, status, acknowledged_at, latency_seconds)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                map(_row, deliveries),
            )
            self._database.executemany(
                "INSERT INTO failures (sop_instance_uid, target, reason, at) VALUES (?, ?, ?, ?)",
                ((delivery.sop_instance_uid, *failure) for delivery in deliveries for failure in delivery.failures),
            )

    def options(self, options: Mapping[str, object]) -> None:
        """Write down what the run does.

        Raises ConfigurationError if that is not what an earlier run in this file did.
        """
        text = json.dumps(options, sort_keys=True)
        epoch = time.time() - time.monotonic()
        earlier = self.earlier_options()
        if earlier is None:
            with self._lock, self._database:
                self._database.execute("INSERT INTO run VALUES (?, ?)", (text, epoch))
            return
        for name, value in json.loads(text).items():
            if earlier.get(name) != value:
                raise ConfigurationError(f"--{name}", f"is {value}; the run to be resumed had {earlier.get(name)}")
        with self._lock, self._database:
            _shift(self._database, "main", self.epoch() - epoch)
            self._database.execute("UPDATE run SET epoch = ?", (epoch,))

    def earlier_options(self) -> dict[str, Any] | None:
        """What the run in this file does; None if the file is new."""
        row = self._database.execute("SELECT options FROM run").fetchone()
        options: dict[str, Any] | None = json.loads(row[0]) if row else None
        return options

    def epoch(self) -> float:
        """What has to be added to a time to make it seconds since 1970."""
        epoch: float = self._database.execute("SELECT epoch FROM run").fetchone()[0]
        return epoch

    def merge(self, path: Path) -> None:
        """Take in the ledger of another part of the same run.

        Raises sqlite3.IntegrityError if it reports an instance that is known.
        """
        self._database.execute("ATTACH ? AS other", (f"{path}",))
        try:
            with self._lock, self._database:
                (epoch,) = self._database.execute("SELECT epoch FROM other.run").fetchone()
                for table, times in TIMES.items():
                    columns = [row[1] for row in self._database.execute(f"PRAGMA main.table_info({table})")]
                    values = [f"{each} + :shift" if each in times else each for each in columns]
                    self._database.execute(
                        f"INSERT INTO main.{table} ({', '.join(columns)})"  # noqa: S608 (names of our own)
                        f" SELECT {', '.join(values)} FROM other.{table}",
                        {"shift": epoch - self.epoch()},
                    )
        finally:
            self._database.execute("DETACH other")

    def go_on(self) -> dict[int, int]:
        """Forget what a sender gave up at, to try it again; how many instances each sender has behind it.

        What was refused for good before that, and has others of the same sender after it, stays refused.
        """
        with self._lock, self._database:
            self._database.execute(
                "DELETE FROM deliveries WHERE acknowledged_at IS NULL"
                " AND rowid IN (SELECT max(rowid) FROM deliveries GROUP BY sender)"
            )
        return dict(self._database.execute("SELECT sender, count(*) FROM deliveries GROUP BY sender"))

    def began(self, at: float) -> None:
        """Note that sending begins; `ended` has to follow."""
        self.ended()
        with self._lock, self._database:
            self._database.execute("INSERT INTO sendings VALUES (?, NULL)", (at,))

    def ended(self) -> None:
        """Note that sending has ended, at the last success."""
        with self._lock, self._database:
            self._database.execute(
                "UPDATE sendings SET ended = max(began, coalesce((SELECT max(acknowledged_at) FROM deliveries), began))"
                " WHERE ended IS NULL"
            )

    def search(self, began: float, seconds: float, failure: str) -> None:
        """Note a search that went on beside."""
        with self._lock, self._database:
            self._database.execute("INSERT INTO searches VALUES (?, ?, ?)", (began, seconds, failure))

    def to_delete(self, place: float, began: float) -> str | None:
        """Choose an acknowledged instance, as `a_study` does, and note that it will be deleted; its public id.

        One of which an attempt failed is left alone: what was sent then may still arrive, after the deletion.
        """
        with self._lock, self._database:
            row = self._one(f"public_id FROM deliveries WHERE {_EXPECTED} AND attempts = 1", place)
            if row is not None:
                self._database.execute("INSERT INTO deletions VALUES (?, ?, NULL, NULL)", (row[0], began))
        return row[0] if row else None

    def deletion(self, public_id: str, seconds: float, failure: str) -> None:
        """Note how a deletion went."""
        with self._lock, self._database:
            self._database.execute(
                "UPDATE deletions SET seconds = ?, failure = ? WHERE public_id = ?", (seconds, failure, public_id)
            )

    def metrics(self, at: float, url: str, values: Mapping[str, float]) -> None:
        """Note what a server said of itself."""
        with self._lock, self._database:
            self._database.executemany(
                "INSERT INTO metrics VALUES (?, ?, ?, ?)", [(at, url, name, value) for name, value in values.items()]
            )

    def a_study(self, place: float) -> str | None:
        """Study Instance UID of an instance that has to be there, from the beginning (0) to the end (1)."""
        with self._lock:
            row = self._one(f"study_instance_uid FROM deliveries WHERE {_EXPECTED}", place)
        return row[0] if row else None

    def is_expected(self, study_instance_uid: str) -> bool:
        """Whether something of this study has to be there."""
        query = f"SELECT 1 FROM deliveries WHERE study_instance_uid = ? AND {_EXPECTED} LIMIT 1"  # noqa: S608
        with self._lock:
            return self._database.execute(query, (study_instance_uid,)).fetchone() is not None

    def _one(self, what: str, place: float) -> Any:
        query = f"SELECT {what} AND rowid >= ? * (SELECT max(rowid) FROM deliveries) LIMIT 1"  # noqa: S608
        return self._database.execute(query, (place,)).fetchone()

    def acknowledged(
        self, batch: int = 5000, *, keeps: Keeps = "either", by_series: bool = False
    ) -> Iterator[list[Acknowledged]]:
        """Everything that has to be in the archive now, in batches; `by_series` puts instances of a series together."""
        order = "ORDER BY study_instance_uid, series_instance_uid" if by_series else ""
        cursor = self._database.execute(
            f"SELECT {_IDENTIFIERS}, {_CONTENT[keeps]}, sop_class_uid, transfer_syntax_uid FROM deliveries"  # noqa: S608
            f" WHERE {_EXPECTED} {order}"
        )
        while rows := cursor.fetchmany(batch):
            yield [Acknowledged(*row) for row in rows]

    def deleted(self, batch: int = 5000) -> Iterator[list[Acknowledged]]:
        """Everything that must not be in the archive any more, in batches."""
        cursor = self._database.execute(
            f"SELECT {_IDENTIFIERS}, data_set_md5 FROM deliveries WHERE public_id IN"  # noqa: S608
            " (SELECT public_id FROM deletions WHERE failure = '') ORDER BY study_instance_uid, series_instance_uid"
        )
        while rows := cursor.fetchmany(batch):
            yield [Acknowledged(*row) for row in rows]


def _shift(database: sqlite3.Connection, schema: str, seconds: float) -> None:
    for table, times in TIMES.items():
        changes = ", ".join(f"{time} = {time} + :seconds" for time in times)
        database.execute(f"UPDATE {schema}.{table} SET {changes}", {"seconds": seconds})  # noqa: S608 (names of our own)


def _row(delivery: Delivery) -> tuple[str | int | float | None, ...]:
    uids = (
        delivery.patient_id,
        delivery.study_instance_uid,
        delivery.series_instance_uid,
        delivery.sop_instance_uid,
    )
    second_md5, second_acknowledged = delivery.second or (None, None)
    return (
        delivery.sop_instance_uid,
        delivery.patient_id,
        delivery.study_instance_uid,
        delivery.series_instance_uid,
        public_ids(*uids).instance,
        delivery.sop_class_uid,
        delivery.transfer_syntax_uid,
        delivery.data_set_md5,
        second_md5,
        second_acknowledged,
        delivery.size,
        delivery.sender,
        delivery.target,
        delivery.attempts,
        delivery.status,
        delivery.acknowledged_at,
        delivery.latency_seconds,
    )
