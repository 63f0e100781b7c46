"""``python -m benchmarks.import_files``: see README.md."""

import statistics
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click

from benchmarks.celery_import import import_folders, redis_server, worker
from benchmarks.figures import Display, Part
from benchmarks.ingest import published
from benchmarks.ingest.corpus import Corpus, corpus
from benchmarks.ingest.cpu import metered
from benchmarks.ingest.machine import load_average, machine, own_server
from benchmarks.ingest.ours import our_cluster
from benchmarks.ingest.outcome import common_options, finish
from benchmarks.ingest.peers import Peer, peer_options, peers
from benchmarks.ingest.system import System, settle
from benchmarks.ingest.uploads import CLIENTS, upload
from benchmarks.loading import NotStored
from workers.local.postgresql import LocalPostgreSQL

UPLOADED_EACH = 150
_WANTED_TIMES = 5.0

Tell = Callable[[str], None]


@click.command()
@click.option("--files", default=16_000, show_default=True, help="Of 30 KB, in each import.")
@common_options
@peer_options
def main(files: int, repeat: int, smoke: bool, json_file: Path | None, **chosen: Any) -> None:
    """Bulk import through Celery against real Orthanc's HTTP upload of the same kind of files, in turns."""
    before = load_average()
    if smoke:
        files, repeat = 64, 1
    display = Display()
    others = [peer for peer in peers(**chosen) if not peer.is_ours]
    with own_server() as server, display.part("import"):
        part, versions = _measured(server, others, files, repeat, 4 if smoke else UPLOADED_EACH, display.tell)
        where = machine(server, before, versions)
    sys.exit(finish("import_files", {"import": part}, where, smoke=smoke, json_file=json_file))


def _measured(
    server: LocalPostgreSQL, others: Sequence[Peer], files: int, repeat: int, uploaded_each: int, tell: Tell
) -> tuple[Part, dict[str, Any]]:
    part = Part(sizes={"files": files, "uploaded": uploaded_each * CLIENTS, "rounds": repeat})
    rates: dict[str, list[float]] = {}
    with ExitStack() as stack:
        url = stack.enter_context(redis_server(Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="redis-")))))
        ours = stack.enter_context(our_cluster(server, cluster={"RedisUrl": url}))
        process = stack.enter_context(worker(ours))
        theirs = [stack.enter_context(peer.start(server, True)) for peer in others]
        imported, uploaded, few = (
            stack.enter_context(corpus(senders=CLIENTS, instances_each=each, size="30 KB"))
            for each in (files // CLIENTS, uploaded_each, 2)
        )
        # Connections, caches, the worker's processes.
        import_folders(ours, list(few.folders))
        for system in theirs:
            upload(few, system)
        for number in range(1, repeat + 1):
            tell(f"round {number} of {repeat}: import of {imported.instances} files")
            rate, cpu = _import(ours, process.pid or 0, imported)
            rates.setdefault(ours.name, []).append(rate)
            part.details.setdefault("cpu_milliseconds", []).append(cpu)
            for system in theirs:
                tell(f"round {number} of {repeat}: {system.name}, {uploaded.instances} uploads")
                rates.setdefault(system.name, []).append(_upload(system, uploaded))
        versions = {system.name: system.versions for system in (ours, *theirs)}
    _judge(part, rates, ours.name)
    return part, versions


def _import(ours: System, worker_pid: int, files: Corpus) -> tuple[float, dict[str, float]]:
    """Files a second, the start of the command included, and CPU of a file by part. Raises NotStored."""
    files.refresh()
    settle(ours.server)
    before = ours.stored()
    parts = {"worker": [worker_pid], **ours.parts}
    with metered(parts) as used:
        seconds = import_folders(ours, list(files.folders))
    stored = ours.stored() - before
    if stored != files.instances:
        raise NotStored(f"import: {stored} of {files.instances} are in the index")
    each = used.milliseconds_each(files.instances)
    return files.instances / seconds, {name: round(value, 2) for name, value in each.items()}


def _upload(system: System, files: Corpus) -> float:
    files.refresh()
    settle(system.server)
    answered = upload(files, system)
    if answered.failures:
        raise NotStored(f"{system.name}: {answered.failures} of {answered.instances} uploads refused")
    return answered.rate


def _judge(part: Part, rates: Mapping[str, Sequence[float]], ours: str) -> None:
    own = statistics.median(rates[ours])
    theirs = {name: statistics.median(found) for name, found in rates.items() if name != ours}
    for name, rate in {**theirs, published.SYSTEM: published.HTTP["30 KB"]}.items():
        part.add(
            f"imported files/s against HTTP uploads of {name}, {CLIENTS} clients",
            f">= {_WANTED_TIMES:.0f} times",
            f"{own / rate:.1f} times: {own:,.0f} of {rate:,.0f}",
            own / rate >= _WANTED_TIMES,
            is_speed=True,
        )
    part.details["per_second"] = {name: [round(rate, 1) for rate in found] for name, found in rates.items()}


if __name__ == "__main__":
    main()
