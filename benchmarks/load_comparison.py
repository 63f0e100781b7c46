"""``python -m benchmarks.load_comparison``: see README.md."""

import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click

from benchmarks.figures import Display, Part
from benchmarks.ingest.machine import load_average, machine, own_server
from benchmarks.ingest.orthanc import find_orthanc, plain_orthanc
from benchmarks.ingest.ours import NAME, our_cluster
from benchmarks.ingest.outcome import RESULTS, finish
from workers.load.ledger import Ledger
from workers.load.options import LoadOptions, parse_targets
from workers.load.page import comparison
from workers.load.report import as_json
from workers.load.run import run_load

SEED = 20261125


@click.command()
@click.option("--instances", type=int, default=4000, show_default=True, help="Into each system.")
@click.option("--smoke", is_flag=True, help="As small as possible; for CI.")
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="Instead of benchmarks/results.")
@click.option("--page", "page_file", type=click.Path(path_type=Path), help="Instead of benchmarks/results.")
@click.option("--orthanc-root", type=click.Path(path_type=Path), help="Root folder of another distribution.")
def main(
    instances: int, smoke: bool, json_file: Path | None, page_file: Path | None, orthanc_root: Path | None
) -> None:
    """`orthanc-cluster load` into a plain Orthanc and into ours, checked over REST in both; one page."""
    before, display = load_average(), Display()
    count = 40 if smoke else instances
    part = Part(sizes={"instances": count, "senders": 8, "size": "small"})
    files = find_orthanc(root=orthanc_root)
    with tempfile.TemporaryDirectory() as folder, own_server() as server, display.part("load"), ExitStack() as stack:
        runs = []
        versions = {"Orthanc": files.version()}
        with plain_orthanc(files) as (dicom, http):
            name, metrics = f"Orthanc {versions['Orthanc']}, SQLite", f"{http}/tools/metrics-prometheus"
            runs.append(_run(name, dicom, http, metrics, count, Path(folder), display))
        with our_cluster(server) as ours:
            versions |= ours.versions
            dicom, http = ours.dicom[0], ours.http[0]
            runs.append(_run(NAME, dicom, http, f"{http}/metrics", count, Path(folder), display))
        ledgers = [stack.enter_context(Ledger(ledger)) for _, _, ledger in runs]
        pages = [(name, document, ledger) for (name, document, _), ledger in zip(runs, ledgers, strict=True)]
        page = comparison(pages, "The same load into Orthanc and into orthanc-cluster")
        where = machine(server, before, versions)
    if page_file is not None or not smoke:
        (page_file or RESULTS / "load_comparison.html").write_text(page, "utf-8")
    for name, document, _ in runs:
        part.add(f"{name}: all acknowledged, once, the same bytes", "yes", _found(document), document["passed"])
    rates = [document["instances_per_second"] for _, document, _ in runs]
    ratio = rates[1] / rates[0]
    part.add("instances a second of ours by those of Orthanc", "≥ 1", f"{ratio:.2f}", ratio >= 1, is_speed=True)
    part.details = {name: document for name, document, _ in runs}
    sys.exit(finish("load_comparison", {"load": part}, where, smoke=smoke, json_file=json_file))


def _run(
    name: str, dicom: str, http: str, metrics: str, instances: int, folder: Path, display: Display
) -> tuple[str, dict[str, Any], Path]:
    display.tell(name)
    (archive,) = parse_targets(http)
    ledger = folder / f"{name.split()[0]}.sqlite"
    options = LoadOptions(
        targets=parse_targets(f"{dicom},{http}"),
        archive=archive,
        senders=8,
        instances=instances,
        shared_studies=True,
        queries_per_second=5,
        metrics=(metrics,),
        seed=SEED,
        ledger=ledger,
    )
    return name, as_json(run_load(options)), ledger


def _found(document: dict[str, Any]) -> str:
    return f"lost {document['missing']}, doubled {document['duplicated']}, changed {document['wrong_bytes']}"


if __name__ == "__main__":
    main()
