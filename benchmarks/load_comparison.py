"""``python -m benchmarks.load_comparison``: see README.md."""

import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import click

from benchmarks.figures import Display, Part
from benchmarks.ingest.machine import load_average, machine, own_server
from benchmarks.ingest.orthanc import OrthancFiles, find_orthanc, orthanc, plain_orthanc
from benchmarks.ingest.ours import NAME, our_cluster
from benchmarks.ingest.outcome import RESULTS, finish
from workers.load.ledger import Ledger
from workers.load.options import LoadOptions, parse_targets
from workers.load.page import comparison
from workers.load.report import as_json
from workers.load.run import run_load
from workers.local.postgresql import LocalPostgreSQL

SEED = 20261125
_METRICS = "/tools/metrics-prometheus"


@click.command()
@click.option("--instances", type=int, default=4000, show_default=True, help="Into each system.")
@click.option("--smoke", is_flag=True, help="As small as possible; for CI.")
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="Instead of benchmarks/results.")
@click.option("--page", "page_file", type=click.Path(path_type=Path), help="Instead of benchmarks/results.")
@click.option("--orthanc-root", type=click.Path(path_type=Path), help="Root folder of another distribution.")
def main(
    instances: int, smoke: bool, json_file: Path | None, page_file: Path | None, orthanc_root: Path | None
) -> None:
    """`orthanc-cluster load` into Orthanc on either index and into ours, checked over REST in each; one page."""
    before, display = load_average(), Display()
    count = 40 if smoke else instances
    part = Part(sizes={"instances": count, "senders": 8, "size": "small"})
    files = find_orthanc(root=orthanc_root)
    with tempfile.TemporaryDirectory() as folder, own_server() as server, display.part("load"), ExitStack() as stack:
        runs = []
        versions: dict[str, str] = {}
        for system in (_on_sqlite(files), _on_postgresql(files, server), _ours(server)):
            with system as target:
                versions |= target.versions
                runs.append((target.name, *_run(target, count, Path(folder), display)))
        ledgers = [stack.enter_context(Ledger(ledger)) for _, _, ledger in runs]
        pages = [(name, document, ledger) for (name, document, _), ledger in zip(runs, ledgers, strict=True)]
        page = comparison(pages, "The same load into Orthanc, on both of its indexes, and into orthanc-cluster")
        where = machine(server, before, versions)
    if page_file is not None or not smoke:
        (page_file or RESULTS / "load_comparison.html").write_text(page, "utf-8")
    for name, document, _ in runs:
        part.add(f"{name}: all acknowledged, once, the same bytes", "yes", _found(document), document["passed"])
    ours = runs[-1][1]["instances_per_second"]
    for name, document, _ in runs[:-1]:
        ratio = ours / document["instances_per_second"]
        part.add(f"instances a second of ours by those of {name}", "≥ 1", f"{ratio:.2f}", ratio >= 1, is_speed=True)
    part.details = {name: document for name, document, _ in runs}
    sys.exit(finish("load_comparison", {"load": part}, where, smoke=smoke, json_file=json_file))


class _Target(NamedTuple):
    name: str
    dicom: str
    http: str
    metrics: str
    versions: Mapping[str, str]


@contextmanager
def _on_sqlite(files: OrthancFiles) -> Iterator[_Target]:
    version = files.version()
    with plain_orthanc(files) as (dicom, http):
        yield _Target(f"Orthanc {version}, SQLite", dicom, http, f"{http}{_METRICS}", {"Orthanc": version})


@contextmanager
def _on_postgresql(files: OrthancFiles, server: LocalPostgreSQL) -> Iterator[_Target]:
    with orthanc(server, files) as system:
        http = system.http[0]
        yield _Target(system.name, system.dicom[0], http, f"{http}{_METRICS}", system.versions)


@contextmanager
def _ours(server: LocalPostgreSQL) -> Iterator[_Target]:
    with our_cluster(server) as system:
        http = system.http[0]
        yield _Target(NAME, system.dicom[0], http, f"{http}/metrics", system.versions)


def _run(target: _Target, instances: int, folder: Path, display: Display) -> tuple[dict[str, Any], Path]:
    display.tell(target.name)
    (archive,) = parse_targets(target.http)
    ledger = folder / f"{target.name}.sqlite"
    options = LoadOptions(
        targets=parse_targets(f"{target.dicom},{target.http}"),
        archive=archive,
        senders=8,
        instances=instances,
        shared_studies=True,
        queries_per_second=5,
        metrics=(target.metrics,),
        seed=SEED,
        ledger=ledger,
    )
    return as_json(run_load(options)), ledger


def _found(document: dict[str, Any]) -> str:
    return f"lost {document['missing']}, doubled {document['duplicated']}, changed {document['wrong_bytes']}"


if __name__ == "__main__":
    main()
