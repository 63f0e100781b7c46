"""`orthanc-cluster demo`: the claim of this project as one command.

Two nodes on one database; pydicom's own files by bulk import; then synthetic studies from many concurrent senders,
half of which push parts of the same studies, while one node is killed with SIGKILL and replaced. The verdict comes
from the senders' ledger, compared with the database and the storage area.
"""

import contextlib
import json
import tempfile
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pydicom.data as pydicom_data
from rich.console import Console

from cluster.dicom.header import read_part10
from cluster.errors import BadDicom
from workers.import_command import import_files
from workers.load.options import LoadOptions, parse_targets
from workers.load.report import print_result, progress_bar
from workers.load.run import LoadResult, Progress, run_load
from workers.local.cluster import LocalCluster, Options
from workers.local.processes import ManagedProcess
from workers.local.up import addresses

_KILL_AFTER = 0.3
"""Part of the instances that is acknowledged when a node is killed."""


def run_demo(*, instances: int, senders: int, keep: Path | None) -> int:
    """Run the demo; 0 only if nothing was lost and nothing doubled, and the killed node came back."""
    console = Console()
    with _folder(keep) as data:
        # Ports far from the usual ones: a demo must not be in the way of anything that runs here.
        with LocalCluster(Options(data, nodes=2), lambda text: console.print(f"[dim]{text}[/dim]")) as cluster:
            console.print(addresses(cluster))
            console.rule("1. bulk import of the DICOM files that pydicom ships")
            imported = _import(cluster, console)
            console.rule(f"2. {instances} synthetic instances from {senders} senders; one node is killed on the way")
            victim = _Victim(cluster.nodes[0], console, when=int(instances * _KILL_AFTER))
            result = _load(cluster, instances, senders, victim, console)
            replaced = victim.was_replaced()
        console.rule("3. verdict")
        print_result(result, console)
        if not replaced:
            console.print("[bold red]the node was not killed and replaced, so this run proves little[/bold red]")
        return 0 if result.passed and replaced and imported else 1


def _import(cluster: LocalCluster, console: Console) -> bool:
    """Whether exactly those of pydicom's files are in the archive that can be; it ships broken ones on purpose."""
    folder = Path(pydicom_data.__file__).parent
    report = cluster.configuration.with_name("refused.jsonl")
    import_files(cluster.settings, [folder], report=report, console=console)
    expected, found = _storable(folder), _count_instances(cluster.endpoints.http[0])
    style = "green" if found == expected else "bold red"
    console.print(f"[{style}]{found} distinct instances in the archive, {expected} expected[/{style}]")
    return found == expected


def _storable(folder: Path) -> int:
    """Distinct instances among the files of a folder, counted without the archive."""
    ids = set()
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file, contextlib.suppress(BadDicom):
                ids.add(read_part10(file, path.stat().st_size).public_ids.instance)
    return len(ids)


def _count_instances(url: str) -> int:
    with urllib.request.urlopen(f"{url}/statistics", timeout=10) as answer:  # noqa: S310 - our own node
        return int(json.load(answer)["CountInstances"])


def _load(cluster: LocalCluster, instances: int, senders: int, victim: "_Victim", console: Console) -> LoadResult:
    options = LoadOptions(
        targets=parse_targets(",".join(cluster.endpoints.dicom)),
        settings=cluster.settings,
        senders=senders,
        instances=instances,
        shared_studies=True,
    )
    with progress_bar(console) as show:

        def progress(now: Progress) -> None:
            show(now)
            victim.watch(now.acknowledged)

        return run_load(options, progress)


@dataclass(slots=True)
class _Victim:
    """Kills a node once enough instances are acknowledged."""

    node: ManagedProcess
    console: Console
    when: int
    _killed_pid: int | None = None

    def watch(self, acknowledged: int) -> None:
        if acknowledged < self.when or self._killed_pid is not None:
            return
        self._killed_pid = self.node.pid
        self.node.kill()
        self.console.print(f"[bold yellow]{self.node.name} killed (SIGKILL) after {acknowledged} instances[/]")

    def was_replaced(self) -> bool:
        return self._killed_pid is not None and self.node.running and self.node.pid != self._killed_pid


@contextlib.contextmanager
def _folder(keep: Path | None) -> Iterator[Path]:
    if keep is not None:
        yield keep
        return
    with tempfile.TemporaryDirectory(prefix="orthanc-cluster-demo-") as folder:
        yield Path(folder) / "data"
