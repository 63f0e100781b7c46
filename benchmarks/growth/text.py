"""The model in words: ``benchmarks/scaling.md``, written by the benchmark so that its numbers are those of the run."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from benchmarks.growth.measure import Sample
from benchmarks.growth.model import BUSY, RANDOM_INDEXES, Host, Model, Prediction, limits

_GB = 1e9
NODE_MILLISECONDS = 0.7
"""CPU of a node for one instance of 30 KB (README, "Where the time of one instance goes")."""
CONNECTIONS = 6
"""Of a node: IndexConnectionsCount is 4 by default, one is for its watch, one for an upgrade."""
WAL_BETWEEN = 7_000
"""Bytes of WAL for an instance whose pages were written since the checkpoint (results/floor.json: 6,700 to 7,500)."""
RATES = (50, 1000, 5000)
_SIZES = (5e6, 150e6, 1e9)


def scaling(model: Model, samples: Sequence[Sample], measured: Sample | None, where: Mapping[str, Any]) -> str:
    """The page."""
    return (
        "\n".join(
            [
                "# How far it scales",
                "",
                "Written by `python -m benchmarks.scaling`: measured at small sizes, a line through each measure, the",
                "largest size predicted before it was measured. Archives are synthetic (`archives.py`), upgraded from",
                "revision 1; an instance costs what it costs in batches of 64 on one connection.",
                "",
                f"Machine: {where['cores']} cores, {where['memory_gigabytes']} GB, PostgreSQL {where['postgresql']},"
                f" {where['date']}.",
                "",
                "## Measured",
                "",
                *_table(
                    ("instances", "index GB", "bytes an instance", "WAL bytes", "PostgreSQL ms", "child counts s"),
                    [
                        (
                            f"{each.instances:,}",
                            f"{each.index_bytes / _GB:.2f}",
                            f"{each.index_bytes / each.instances:,.0f}",
                            f"{each.wal_bytes:,.0f}",
                            f"{each.postgresql_milliseconds:.2f}",
                            f"{each.fill_seconds:.1f}",
                        )
                        for each in samples
                    ],
                ),
                *(_checked(model.at(measured.instances), measured) if measured else ()),
                "",
                "## Predicted",
                "",
                *_table(
                    (
                        "instances",
                        "index GB",
                        "of it at random places",
                        "largest",
                        "its GB",
                        "WAL bytes an instance",
                        "PostgreSQL ms",
                        "child counts",
                        "offline upgrade",
                    ),
                    [_predicted(model.at(size)) for size in _SIZES],
                ),
                "",
                *_needs(model),
                "",
                *_ends(model),
                "",
                *_words(model),
            ]
        )
        + "\n"
    )


def _checked(said: Prediction, found: Sample) -> Iterator[str]:
    yield ""
    yield f"## Predicted and then measured: {found.instances:,} instances"
    yield ""
    pairs = (
        ("index, GB", said.index_bytes / _GB, found.index_bytes / _GB),
        ("WAL, bytes an instance", said.wal_bytes, found.wal_bytes),
        ("PostgreSQL, ms an instance", said.postgresql_milliseconds, found.postgresql_milliseconds),
        ("child counts, s", said.fill_seconds, found.fill_seconds),
        ("offline upgrade, s", said.upgrade_seconds, found.upgrade_seconds),
    )
    rows = [(name, f"{a:,.2f}", f"{b:,.2f}", f"{100 * (a - b) / b:+.0f} %") for name, a, b in pairs]
    yield from _table(("", "predicted", "measured", "error"), rows)


def _predicted(said: Prediction) -> tuple[str, ...]:
    return (
        f"{said.instances:,.0f}",
        f"{said.index_bytes / _GB:,.0f}",
        f"{said.random_bytes / _GB:,.1f}",
        said.largest,
        f"{said.largest_bytes / _GB:,.0f}",
        f"{said.wal_bytes:,.0f}",
        f"{said.postgresql_milliseconds:.2f}",
        f"{said.fill_seconds / 60:,.1f} min",
        f"{said.upgrade_seconds / 60:,.1f} min",
    )


def _needs(model: Model) -> Iterator[str]:
    """What rates of instances ask for, at each size."""
    yield f"Cores are busy for {BUSY:.0%} of the time; a node takes {NODE_MILLISECONDS} ms an instance and"
    yield f"{CONNECTIONS} connections. WAL: between checkpoints, and right after one, when whole pages are written."
    yield ""
    rows = []
    for size in _SIZES:
        said = model.at(size)
        for rate in RATES:
            nodes = max(2, math.ceil(rate * NODE_MILLISECONDS / 1000 / BUSY))
            wal = [rate * each for each in (WAL_BETWEEN, said.wal_bytes)]
            rows.append(
                (
                    f"{size:,.0f}",
                    f"{rate:,}/s",
                    f"{nodes}",
                    f"{nodes * CONNECTIONS}",
                    f"{rate * said.postgresql_milliseconds / 1000 / BUSY:.1f}",
                    " to ".join(f"{each / 1e6:,.1f}" for each in wal),
                    " to ".join(f"{each * 86400 / 1e12:,.2f}" for each in wal),
                )
            )
    head = ("instances there", "rate", "nodes of 1 core", "connections", "PostgreSQL cores", "WAL MB/s", "TB/day")
    yield from _table(head, rows)


def _ends(model: Model) -> Iterator[str]:
    """At which rate each part of an assumed host ends, and which is the first, at each size."""
    host = Host()
    yield "## The first bottleneck at each size"
    yield ""
    yield f"Assumed, not measured: a server of {host.cores} cores and {host.memory_gigabytes} GB for the database,"
    yield f"a WAL device of {host.wal_megabytes} MB/s that takes {host.flush_milliseconds:g} ms to flush,"
    yield f"{host.random_reads:,} random reads a second; nodes are elsewhere, as many as it takes. Instances a second"
    yield "at which each ends, the WAL device right after a checkpoint:"
    yield ""
    rows = []
    for size in _SIZES:
        found = limits(model.at(size), host)
        rates = [f"{rate:,.0f}" if math.isfinite(rate) else "holds all" for rate in found.values()]
        rows.append((f"{size:,.0f}", *rates, f"**{min(found, key=found.__getitem__)}**"))
    yield from _table(("instances there", *limits(model.at(_SIZES[0]), host), "first"), rows)


def _words(model: Model) -> Iterator[str]:
    five, many, most = (model.at(size) for size in _SIZES)
    yield f"""## What to do about it

* **5 million ({five.index_bytes / _GB:,.0f} GB)**: the index stays in memory. The flush of the WAL and its device come
  first, and only in the minute after a checkpoint. Do: a device for the WAL alone, wal_compression, checkpoints half an
  hour apart with a large max_wal_size; more nodes while their processors are what is busy.
* **150 million ({many.index_bytes / _GB:,.0f} GB)**: {many.random_bytes / _GB:,.0f} GB are indexes on public ids and
  values ({len(RANDOM_INDEXES)} of them), into which each instance goes at random places: what memory does not hold is
  read, and after each checkpoint written to the WAL as whole pages. Do: memory for these; the above; searches and
  viewers to a read replica, whose replay asks for the same memory.
* **1 billion ({most.index_bytes / _GB:,.0f} GB)**: {most.random_bytes / _GB:,.0f} GB of such indexes, and single tables
  ({most.largest} alone takes {most.largest_bytes / _GB:,.0f} GB): vacuum, backup, restore.
  Do: partitions of the tables that hang on instances, by internal id, old ones in a slower tablespace (not tried:
  Orthanc's statements name the tables only, but unique keys have to hold the partition's
  column); attachments in S3 or in tiers; several archives by year or site behind one door, before all that.
* **Upgrades**: 150 million take {many.upgrade_seconds / 60:,.0f} minutes offline and {many.fill_seconds / 60:,.0f} more
  for child counts, 1 billion {most.upgrade_seconds / 60:,.0f} and {most.fill_seconds / 60:,.0f}, as long as pages come
  from memory; where they come from a disk of 500 MB/s, reading the index once takes {_reading(many)} and
  {_reading(most)} minutes, and building indexes reads it more than once. Online, beside writers, 5 million took 1.2
  times as long as offline with child counts (`results/schema_upgrade_pg15.json`); the lock of the switch does not grow.

Not in the model: reads, the storage area, the distance to the database, and what a page costs that is not in memory
beyond its read: PostgreSQL's milliseconds hold while what is written to is in memory. The line of the WAL is too high
at the far end: an instance cannot write more whole pages than it touches, some 5 to 9 of 8 KB."""


def _reading(said: Prediction) -> str:
    """Minutes."""
    return f"{said.index_bytes / 500e6 / 60:,.0f}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|{' --- |' * len(head)}"
    for row in rows:
        yield f"| {' | '.join(row)} |"
