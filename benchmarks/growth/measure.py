"""One archive of a given size: its bytes on disk, how long back-fills take, and what one more instance costs."""

import statistics
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import psycopg

from benchmarks.archives import Archive, copy, prepare
from benchmarks.figures import Display
from benchmarks.ingest.cpu import metered
from benchmarks.ingest.system import opened
from benchmarks.limits.instances import rows_by_turns
from benchmarks.upgrade.child_counts import fill_alone
from benchmarks.upgrade.process import configuration, upgrade
from cluster.database import queries
from cluster.index.store_instances import store_instances
from workers.local.postgresql import LocalPostgreSQL

_SQL = queries("benchmarks", "growth.sql")
_WAL = queries("benchmarks", "index_rows.sql")["wal_position"]
_BATCH = 64


@dataclass(frozen=True, slots=True)
class Sample:
    """What was found at one size. Bytes by name of table or index; the others for one instance."""

    instances: int
    parents: int
    bytes_of: Mapping[str, int]
    upgrade_seconds: float
    fill_seconds: float
    wal_bytes: float
    postgresql_milliseconds: float
    batch_milliseconds: float

    @property
    def index_bytes(self) -> int:
        """Tables and indexes together."""
        return sum(self.bytes_of.values())


def measure(server: LocalPostgreSQL, instances: int, added: int, folder: Path, display: Display) -> Sample:
    """Make the archive, upgrade it, fill in its child counts, then store `added` instances in batches of 64."""
    archive = Archive.of_at_least(instances)
    prepare(server, archive, display.tell)
    with copy(server, archive.database, "growth") as uri:
        display.tell(f"{archive.instances:,} instances: upgrading")
        upgrade_seconds = upgrade(configuration(folder, uri), "--offline")
        fill_seconds = fill_alone(uri)
        with psycopg.connect(uri, autocommit=True) as connection:
            connection.execute("VACUUM (ANALYZE)")
            bytes_of = dict(connection.execute(_SQL["sizes"]).fetchall())
        display.tell(f"{archive.instances:,} instances: storing")
        wal, cpu, seconds = _store(server, uri, added, seed=instances)
    return Sample(archive.instances, archive.parents, bytes_of, upgrade_seconds, fill_seconds, wal, cpu, 1000 * seconds)


def _store(server: LocalPostgreSQL, uri: str, added: int, seed: int) -> tuple[float, float, float]:
    """Bytes of WAL and milliseconds of PostgreSQL's CPU for one instance, and the median seconds of a batch."""
    assert server.pid is not None
    warm, rows = rows_by_turns(_BATCH * 4, seed), rows_by_turns(added, seed + 1)
    with opened(uri) as database, psycopg.connect(uri, autocommit=True) as beside:
        for start in range(0, len(warm), _BATCH):
            store_instances(database, "Never", warm[start : start + _BATCH])
        beside.execute(_SQL["checkpoint"])
        before = _wal(beside)
        times = []
        with metered({"postgresql": [server.pid]}) as used:
            for start in range(0, len(rows), _BATCH):
                began = time.perf_counter()
                store_instances(database, "Never", rows[start : start + _BATCH])
                times.append(time.perf_counter() - began)
        wal = _wal(beside) - before
    return wal / len(rows), used.milliseconds_each(len(rows))["postgresql"], statistics.median(times)


def _wal(connection: psycopg.Connection) -> float:
    [position] = connection.execute(_WAL).fetchone()  # type: ignore[misc]
    return float(position)
