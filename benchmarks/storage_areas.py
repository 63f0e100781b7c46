"""``python -m benchmarks.storage_areas``: see README.md."""

import os
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import psycopg
from rich.console import Console

from benchmarks.figures import Display, Part, table, write
from benchmarks.ingest.machine import load_average, machine
from cluster.config import load_settings
from cluster.errors import ClusterError
from cluster.ingest.intake import open_intake
from cluster.ingest.origin import Origin
from cluster.schema.install import install
from tests.support.dicom import make_file
from tests.support.s3 import s3_server
from workers.local.postgresql import LocalPostgreSQL

RESULTS = Path(__file__).parent / "results"
SENDERS = 16
PLUGIN_FILES, PLUGIN_SECONDS = 1_635, 185.0
"""What the AWS S3 plugin is said to take for as many small files."""

_PATH = click.Path(path_type=Path)
_ORIGIN = Origin("RestApi", "", "127.0.0.1", None, "")


@dataclass(frozen=True)
class _Found:
    """What one load into one area took."""

    seconds: float
    wal: int
    database: int
    content: int


@click.command()
@click.option("--instances", default=PLUGIN_FILES, show_default=True, help="Of each size into each area.")
@click.option("--smoke", is_flag=True, help="Small, in seconds: does it work at all?")
@click.option("--json", "json_file", type=_PATH, help="Where to write, instead of benchmarks/results.")
def main(instances: int, smoke: bool, json_file: Path | None) -> None:
    """Store the same instances in each storage area, from senders side by side in one process."""
    load_before = load_average()
    count = 40 if smoke else instances
    display, part = Display(), Part(sizes={"instances": count, "senders": SENDERS})
    with (
        tempfile.TemporaryDirectory() as folder,
        display.part("areas"),
        LocalPostgreSQL(Path(folder) / "server") as server,
        s3_server(_made(Path(folder) / "s3")) as s3,
    ):
        for name, size in (("30 KB", 30_000), ("526 KB", 526_000)):
            areas: Mapping[str, dict[str, Any]] = {
                "files": {},
                "PostgreSQL": {"EnableStorage": True},
                "S3": {"AwsS3Storage": s3.options | {"RootPath": name.replace(" ", "")}},
            }
            found = {}
            for area, options in areas.items():
                display.tell(f"{name}, {area}")
                found[area] = _load(server, Path(folder), f"{area}_{size}".lower(), options, count, size)
            _figures(part, name, count, found)
        where = machine(server, load_before, {})
    Console().print(table({"areas": part}))
    file = json_file or (None if smoke else RESULTS / "storage_areas.json")
    if file is not None:
        write(file, {"areas": part}, where)
    sys.exit(0 if all(figure.met or (smoke and figure.is_speed) for figure in part.figures) else 1)


def _load(
    server: LocalPostgreSQL, folder: Path, name: str, options: Mapping[str, Any], count: int, size: int
) -> _Found:
    uri = server.uri(name)
    with psycopg.connect(server.uri("postgres"), autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
    with psycopg.connect(uri, autocommit=True) as connection:
        install(connection, "public", "benchmark", storage_area=True)
        in_postgresql = {key: value for key, value in options.items() if key == "EnableStorage"}
        overrides = {key: value for key, value in options.items() if key != "EnableStorage"} | {
            "StorageDirectory": str(folder / name),
            "PostgreSQL": {"EnableIndex": True, "ConnectionUri": uri} | in_postgresql,
        }
        # Random bytes: a medium that compresses, as TOAST would, gains nothing.
        files = [_file(number, size) for number in range(count)]
        with closing(open_intake(load_settings([], environ={}, overrides=overrides))) as intake:
            _send(intake, _file(count, size))
            connection.execute("CHECKPOINT")
            before = _state(connection)
            started = time.monotonic()
            with ThreadPoolExecutor(SENDERS) as senders:
                list(senders.map(lambda file: _send(intake, file), files))
            seconds = time.monotonic() - started
        wal, database = (now - then for now, then in zip(_state(connection), before, strict=True))
        stored = connection.execute("SELECT count(*) FROM AttachedFiles").fetchone()
        assert stored == (count + 1,)
    return _Found(seconds, wal, database, sum(map(len, files)))


def _figures(part: Part, name: str, count: int, found: Mapping[str, _Found]) -> None:
    files, postgresql, s3 = found["files"], found["PostgreSQL"], found["S3"]
    for area, one in found.items():
        part.details[f"{name}, {area}"] = {
            "instances/s": round(count / one.seconds, 1),
            "WAL bytes per byte": round(one.wal / one.content, 3),
            "database bytes per byte": round(one.database / one.content, 3),
        }
        part.add(f"{name} into {area}", "", f"{count / one.seconds:,.0f} instances/s", met=True, is_speed=True)
    more: Callable[[int, int], float] = lambda ours, theirs: (ours - theirs) / postgresql.content  # noqa: E731
    part.add(
        f"{name}: what PostgreSQL as storage area adds, per byte of an instance",
        "",
        f"{more(postgresql.database, files.database):.2f} bytes in the database, "
        f"{more(postgresql.wal, files.wal):.2f} of WAL",
        met=True,
        is_speed=True,
    )
    if name == "30 KB":
        wanted = PLUGIN_SECONDS * count / PLUGIN_FILES / 10
        part.add(
            f"{count:,} small instances into S3",
            f"{wanted:.1f} s",
            f"{s3.seconds:.1f} s",
            met=s3.seconds <= wanted,
            is_speed=True,
        )


def _send(intake: Any, file: bytes) -> None:
    with intake.receive(_ORIGIN) as reception:
        reception.write(file)
        stored = reception.commit()
    if stored.status != "Success":
        raise ClusterError(stored.status)


def _file(number: int, size: int) -> bytes:
    series = number // 100 + 1
    return make_file(
        SOPInstanceUID=f"2.25.{number + 1}",
        SeriesInstanceUID=f"2.25.9.{series}",
        StudyInstanceUID=f"2.25.8.{series}",
        PatientID=f"P{series}",
        PixelData=os.urandom(size),
    )


def _state(connection: psycopg.Connection) -> tuple[int, int]:
    row = connection.execute(
        "SELECT (pg_current_wal_lsn() - '0/0')::bigint, pg_database_size(current_database())::bigint"
    ).fetchone()
    assert row is not None
    return row[0], row[1]


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


if __name__ == "__main__":
    main()
