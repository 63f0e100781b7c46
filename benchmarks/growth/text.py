"""The model in words: ``benchmarks/scaling.md``, written by the benchmark so that its numbers are those of the run."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from benchmarks.growth.measure import Sample
from benchmarks.growth.model import Model, Prediction

_GB = 1e9
NODE_MILLISECONDS = 0.7
"""CPU of a node for one instance of 30 KB (README, "Where the time of one instance goes")."""
POOL = 4
"""IndexConnectionsCount, by default."""
RATES = (50, 1000, 5000)
_SIZES = (5e6, 150e6, 1e9)
_CORES = 0.7
"""Of a core, what may be busy on average where senders are not to wait."""


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
                        "largest",
                        "its GB",
                        "WAL bytes an instance",
                        "PostgreSQL ms",
                        "child counts",
                    ),
                    [_predicted(model.at(size)) for size in _SIZES],
                ),
                "",
                *_needs(model),
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
        said.largest,
        f"{said.largest_bytes / _GB:,.0f}",
        f"{said.wal_bytes:,.0f}",
        f"{said.postgresql_milliseconds:.2f}",
        f"{said.fill_seconds / 60:,.0f} min",
    )


def _needs(model: Model) -> Iterator[str]:
    """What rates of instances ask for, at each size."""
    yield f"Cores are busy for {_CORES:.0%} of the time; a node takes {NODE_MILLISECONDS} ms an instance."
    yield ""
    rows = []
    for size in _SIZES:
        said = model.at(size)
        for rate in RATES:
            node_cores = rate * NODE_MILLISECONDS / 1000 / _CORES
            nodes = max(2, -(-int(node_cores * 10) // 10))
            rows.append(
                (
                    f"{size:,.0f}",
                    f"{rate:,}/s",
                    f"{nodes}",
                    f"{nodes * POOL}",
                    f"{rate * said.postgresql_milliseconds / 1000 / _CORES:.1f}",
                    f"{rate * said.wal_bytes / 1e6:,.1f} MB/s, {rate * said.wal_bytes * 86400 / 1e12:,.2f} TB/day",
                )
            )
    head = ("instances there", "rate", "nodes of 1 core", "connections", "PostgreSQL cores", "WAL")
    yield from _table(head, rows)


def _words(model: Model) -> Iterator[str]:
    five, many, most = (model.at(size) for size in _SIZES)
    yield f"""## What ends first, and what to do about it

* **5 million ({five.index_bytes / _GB:,.0f} GB)**: nothing of the index, which stays in memory. First comes the
  processor of the host, then the flush of its WAL. Do: more nodes, a device for the WAL alone.
* **150 million ({many.index_bytes / _GB:,.0f} GB)**: memory. Instances go into the indexes on public ids and
  values at random places, so each reads pages, and after a checkpoint writes whole ones into the WAL. Do: memory for
  these indexes, checkpoints half an hour apart with a large max_wal_size, wal_compression; searches to a replica.
* **1 billion ({most.index_bytes / _GB:,.0f} GB)**: single tables ({most.largest}
  alone takes {most.largest_bytes / _GB:,.0f} GB): vacuum, backup, restore.
  Do: partitions of the tables that hang on instances, by internal id, old ones in a slower tablespace (not tried:
  Orthanc's statements name the tables only, but unique keys have to hold the partition's
  column); attachments in S3 or in tiers; replicas for viewers.
* **Upgrades**: child counts of 150 million take {many.fill_seconds / 60:,.0f} minutes beside nobody, of 1 billion
  {most.fill_seconds / 3600:,.1f} hours, online; the lock of the switch does not grow.

Not in the model: reads, the storage area, the distance to the database, and that caches miss where memory ends:
PostgreSQL's milliseconds hold while what is written to is in memory.
WAL is that of the first instances after a checkpoint, which writes whole pages: between checkpoints it is about 7 KB an
instance (`results/floor.json`), so the rates above are the worst minutes, not days."""


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|{' --- |' * len(head)}"
    for row in rows:
        yield f"| {' | '.join(row)} |"
