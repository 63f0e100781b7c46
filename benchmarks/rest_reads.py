"""``python -m benchmarks.rest_reads``: see README.md."""

import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from random import Random

import click
import httpx
import psycopg
import pydicom
from pydicom.data import get_testdata_file
from pydicom.uid import generate_uid
from rich.console import Console

from benchmarks.archives import Archive, copy, prepare
from benchmarks.figures import Display, Part, table, write
from benchmarks.ingest.machine import load_average, machine
from benchmarks.ingest.ours import our_cluster
from benchmarks.reads.requests import ROUTES, Ask, Known
from benchmarks.upgrade.process import configuration, upgrade
from cluster.database.queries import queries
from workers.local.postgresql import LocalPostgreSQL

RESULTS = Path(__file__).parent / "results"
WANTED_MILLISECONDS = 100
SAMPLE = 1_000
"""How many different resources of a level are asked for."""

_SQL = queries("benchmarks", "reads.sql")
_PATH = click.Path(path_type=Path)
_LEVELS = ("patients", "studies", "series", "instances")
_VALUES = {
    "PatientID": (1, 0x0010, 0x0020),
    "PatientName": (1, 0x0010, 0x0010),
    "AccessionNumber": (1, 0x0008, 0x0050),
    "StudyDate": (1, 0x0008, 0x0020),
    "StudyInstanceUID": (1, 0x0020, 0x000D),
    "SOPInstanceUID": (3, 0x0008, 0x0018),
}


@click.command()
@click.option("--instances", default=1_000_000, show_default=True, help="Of the archive.")
@click.option("--requests", default=200, show_default=True, help="Of each route, one after the other.")
@click.option("--seed", default=1, show_default=True)
@click.option("--smoke", is_flag=True, help="Small, in seconds: does it work at all?")
@click.option("--keep", type=_PATH, help="Folder for the server; archives in it are kept and used again.")
@click.option("--json", "json_file", type=_PATH, help="Where to write, instead of benchmarks/results.")
def main(instances: int, requests: int, seed: int, smoke: bool, keep: Path | None, json_file: Path | None) -> None:
    """Ask one node for everything that can be read, and measure how long each answer takes."""
    load_before = load_average()
    if smoke:
        instances, requests = 5_000, 3
    archive = Archive.of_at_least(instances)
    display = Display()
    with _folder(keep) as folder, LocalPostgreSQL(folder) as server, display.part("reads"):
        prepare(server, archive, display.tell)
        display.tell("upgrading")
        with copy(server, archive.database, "reads") as uri, tempfile.TemporaryDirectory() as settings:
            upgrade(configuration(Path(settings), uri), "--offline")
            with psycopg.connect(uri, autocommit=True) as connection:
                connection.execute("VACUUM ANALYZE")
            with our_cluster(server, database_uri=uri) as ours:
                found = _measured(ours.http[0], uri, requests, Random(seed), display)
                where = machine(server, load_before, ours.versions)
    found.sizes = {"instances": archive.instances, "requests": requests}
    Console().print(table({"reads": found}))
    file = json_file or (None if smoke else RESULTS / "rest_reads.json")
    if file is not None:
        write(file, {"reads": found}, where)
    sys.exit(0 if all(figure.met or (smoke and figure.is_speed) for figure in found.figures) else 1)


def _measured(url: str, uri: str, requests: int, random: Random, display: Display) -> Part:
    part = Part()
    with httpx.Client(base_url=url, timeout=60, trust_env=False) as client:
        known = _known(client, uri)
        for name, route in ROUTES.items():
            display.tell(name)
            asks = [route(known, random) for _ in range(requests)]
            _ask(client, asks[0])  # whose plans, pages and connection the others find
            seconds = sorted(_ask(client, ask) for ask in asks)
            p50, p95 = statistics.median(seconds) * 1000, seconds[int(0.95 * (len(seconds) - 1))] * 1000
            part.details[name] = {"p50": round(p50, 2), "p95": round(p95, 2), "maximum": round(seconds[-1] * 1000, 2)}
            part.add(
                name,
                f"p95 ≤ {WANTED_MILLISECONDS} ms",
                f"{p95:.1f} ms (p50 {p50:.1f})",
                p95 <= WANTED_MILLISECONDS,
                is_speed=True,
            )
    return part


def _ask(client: httpx.Client, ask: Ask) -> float:
    """Seconds until the whole answer is there."""
    began = time.perf_counter()
    if ask.body is None:
        answer = client.get(ask.path)
    elif isinstance(ask.body, str):
        answer = client.post(ask.path, content=ask.body)
    else:
        answer = client.post(ask.path, json=ask.body)
    seconds = time.perf_counter() - began
    answer.raise_for_status()
    return seconds


def _known(client: httpx.Client, uri: str) -> Known:
    with psycopg.connect(uri, autocommit=True) as connection:

        def sample(name: str, values: Mapping[str, int]) -> list[str]:
            rows = connection.execute(_SQL[name], {"number": SAMPLE, **values})
            return [value for (value,) in rows if value]

        ids = {path: sample("sample_ids", {"level": level}) for level, path in enumerate(_LEVELS)}
        values = {
            keyword: sample("sample_values", {"level": level, "group": group, "element": element})
            for keyword, (level, group, element) in _VALUES.items()
        }
    uploaded = [client.post("/instances", content=file).raise_for_status().json() for file in _files(20)]
    changes = client.get("/changes?last").raise_for_status().json()["Last"]
    return Known(ids, values, uploaded, changes, client.get("/statistics").json()["CountInstances"])


def _files(number: int) -> Iterator[bytes]:
    """One series of CT slices."""
    dataset = pydicom.dcmread(get_testdata_file("CT_small.dcm"))
    dataset.PatientID = "UPLOADED"
    for index in range(number):
        dataset.InstanceNumber = index + 1
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = generate_uid(prefix="2.25.")
        stream = BytesIO()
        dataset.save_as(stream)
        yield stream.getvalue()


@contextmanager
def _folder(keep: Path | None) -> Iterator[Path]:
    if keep is not None:
        yield keep
        return
    with tempfile.TemporaryDirectory(prefix="rest-reads-") as folder:
        yield Path(folder)


if __name__ == "__main__":
    main()
