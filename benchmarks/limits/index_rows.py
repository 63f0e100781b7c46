"""Index work alone: batches through our call, and COPY of the very same rows into the very same tables.

Ours goes to one database, COPY to another one of the same server; both have all keys and triggers, grow alike, and are
durable. COPY gets the rows ready made, as text, and brings them in one transaction: no program can store them sooner.
"""

import json
import statistics
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, LiteralString

import psycopg

from benchmarks.figures import Part
from benchmarks.ingest.system import opened
from benchmarks.limits.instances import SENDERS, rows_by_turns
from cluster.config import load_settings
from cluster.database import Database, queries
from cluster.index.store_instances import InstanceRows, store_instances
from cluster.schema.install import install_database
from workers.local.postgresql import LocalPostgreSQL

_SQL = queries("benchmarks", "index_rows.sql")
_TABLES = ("resources", "attached_files", "dicom_identifiers", "main_dicom_tags", "metadata", "changes")
_OURS, _COPIED = "floor_ours", "floor_copied"
_CONNECTIONS = (1, 2)
_WANTED_RATIO = 0.40

Tell = Callable[[str], None]


@dataclass(slots=True)
class _Times:
    """Seconds and bytes of write-ahead log, a round each."""

    ours: list[float] = field(default_factory=list)
    copied: list[float] = field(default_factory=list)
    ours_wal: list[float] = field(default_factory=list)
    copied_wal: list[float] = field(default_factory=list)


def index_rows(server: LocalPostgreSQL, instances: int, rounds: int, tell: Tell) -> Part:
    """Measure; `instances` are stored in each round, by turns with 1 and 2 connections and batches of several sizes."""
    maximum = load_settings([], environ={}).cluster.maximum_batch_size
    variants = [(size, connections) for connections in _CONNECTIONS for size in sorted({16, 32, 64, maximum})]
    times = {variant: _Times() for variant in variants}
    for name in (_OURS, _COPIED):
        server.create_database(name)
        install_database(server.uri(name))
    seed = 0
    with opened(server.uri(_OURS)) as database, psycopg.connect(server.uri(_COPIED)) as copied:
        with psycopg.connect(server.uri(_OURS), autocommit=True) as beside:
            for number in range(-1, rounds):
                for size, connections in variants:
                    tell(f"round {max(number + 1, 0)} of {rounds}: batches of {size}, {connections} connections")
                    seed += 1
                    # The round before the first warms up both sides.
                    kept = times[size, connections] if number >= 0 else _Times()
                    _round(database, beside, copied, rows_by_turns(instances, seed), (size, connections), kept)
        plan = _explained(database, rows_by_turns(maximum, seed + 1))
    return _part(times, instances, rounds, maximum, plan)


def _round(
    database: Database,
    beside: psycopg.Connection,
    copied: psycopg.Connection,
    rows: Sequence[InstanceRows],
    variant: tuple[int, int],
    times: _Times,
) -> None:
    size, connections = variant
    last_id, last_change = _row(beside, _SQL["last_ids"])
    # What two batches in flight hold comes from different senders: each waits for its answer.
    shares = [
        [row for at, row in enumerate(rows) if at % SENDERS % connections == share] for share in range(connections)
    ]
    wal = _wal(beside)
    with ThreadPoolExecutor(connections) as threads:
        began = time.perf_counter()
        done = [threads.submit(_store, database, share, size) for share in shares]
        for one in done:
            one.result()
        times.ours.append(time.perf_counter() - began)
    times.ours_wal.append(_wal(beside) - wal)
    texts = _texts(beside, {"last_id": last_id, "last_change": last_change})
    wal = _wal(beside)
    began = time.perf_counter()
    with copied.transaction(), copied.cursor() as cursor:
        for table in _TABLES:
            with cursor.copy(_SQL[f"load_{table}"]) as copy:
                copy.write(texts[table])
    times.copied.append(time.perf_counter() - began)
    times.copied_wal.append(_wal(beside) - wal)


def _store(database: Database, rows: Sequence[InstanceRows], size: int) -> None:
    for start in range(0, len(rows), size):
        batch = rows[start : start + size]
        outcomes = store_instances(database, "Never", batch).outcomes
        assert sorted(outcomes.values()) == ["Success"] * len(batch), "not everything was stored"


def _texts(connection: psycopg.Connection, behind: dict[str, Any]) -> dict[str, bytes]:
    texts = {}
    for table in _TABLES:
        with connection.cursor() as cursor, cursor.copy(_SQL[table], behind) as copy:
            texts[table] = b"".join(copy)
    return texts


class _Explaining:
    """Stands in for the database: runs what it is given under EXPLAIN, and commits it."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.arrays = database.arrays
        self.plan: dict[str, Any] = {}

    def call(self, name: str, statement: LiteralString, values: Any, *_: Any, **__: Any) -> list[Any]:
        """As `Database.call` of an archive without limits, all of whose bytes are files; without rows."""
        explained = "EXPLAIN (ANALYZE, BUFFERS, WAL, FORMAT JSON) " + statement
        [[found]] = self._database.run(name, lambda cursor: cursor.execute(explained, values).fetchall())
        self.plan = (json.loads(found) if isinstance(found, str) else found)[0]
        return []


def _explained(database: Database, batch: Sequence[InstanceRows]) -> dict[str, float]:
    """What one batch costs PostgreSQL, an instance."""
    explaining = _Explaining(database)
    store_instances(explaining, "Never", batch)  # type: ignore[arg-type]
    top = explaining.plan["Plan"]
    wanted = ("Shared Hit Blocks", "Shared Read Blocks", "Shared Dirtied Blocks", "WAL Records", "WAL FPI", "WAL Bytes")
    found = {name.lower().replace(" ", "_"): round(top[name] / len(batch), 1) for name in wanted if name in top}
    return found | {"execution_milliseconds": round(explaining.plan["Execution Time"] / len(batch), 3)}


def _part(
    times: dict[tuple[int, int], _Times], instances: int, rounds: int, maximum: int, plan: dict[str, float]
) -> Part:
    part = Part(sizes={"instances": instances, "rounds": rounds, "senders": SENDERS, "maximum_batch_size": maximum})
    for (size, connections), found in times.items():
        ratios = [theirs / ours for ours, theirs in zip(found.ours, found.copied, strict=True)]
        ratio = statistics.median(ratios)
        ours, theirs = (instances / statistics.median(seconds) for seconds in (found.ours, found.copied))
        is_wanted = size == maximum
        part.add(
            f"batches of {size}, {connections} connection{'s' if connections > 1 else ''}: instances/s against COPY's",
            f">= {_WANTED_RATIO:.0%}" if is_wanted else "",
            f"{ratio:.0%}: {ours:,.0f} of {theirs:,.0f}",
            ratio >= _WANTED_RATIO or not is_wanted,
            is_speed=True,
        )
        part.details[f"batch_{size}_connections_{connections}"] = {
            "ours_per_second": round(ours),
            "copy_per_second": round(theirs),
            "ratio": round(ratio, 3),
            "lowest_ratio": round(min(ratios), 3),
            "highest_ratio": round(max(ratios), 3),
            "ours_wal_bytes_per_instance": round(statistics.median(found.ours_wal) / instances),
            "copy_wal_bytes_per_instance": round(statistics.median(found.copied_wal) / instances),
        }
    part.details["one_batch_explained_per_instance"] = plan
    return part


def _row(connection: psycopg.Connection, statement: LiteralString) -> Sequence[Any]:
    row = connection.execute(statement).fetchone()
    assert row is not None
    return row


def _wal(connection: psycopg.Connection) -> float:
    """Bytes of write-ahead log since the server was made, of all databases."""
    position: float = _row(connection, _SQL["wal_position"])[0]
    return position
