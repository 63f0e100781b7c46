"""``python -m benchmarks.schema_upgrade``: see README.md."""

import random
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import click
from rich.console import Console

from benchmarks.archives import Archive, prepare
from benchmarks.figures import Display, Part, machine, table, write
from benchmarks.ingest.machine import load_average
from benchmarks.upgrade.beside_writers import beside_writers
from benchmarks.upgrade.child_counts import child_counts
from benchmarks.upgrade.killed_upgraders import killed_upgraders
from benchmarks.upgrade.log import Log
from benchmarks.upgrade.many_nodes import many_nodes
from benchmarks.upgrade.setting import Setting
from workers.local.postgresql import LocalPostgreSQL

RESULTS = Path(__file__).parent / "results"
NAMES = ("f1", "f2", "f3", "f4")
NODES_INSTANCES = 200_000
KILLS_INSTANCES = 100_000
"""At most: each kill compares all rows."""

Run = tuple[int, Callable[[Setting], Part]]
"""How many instances, and what is done with them."""

_PATH = click.Path(path_type=Path)


@click.command()
@click.option("--instances", default=5_000_000, show_default=True, help="Of the archive of f2 and f3.")
@click.option("--writers", default=8, show_default=True, help="Processes that write meanwhile (f2).")
@click.option("--rate", default=0.0, help="Instances a second of all writers together; 0: as many as they can.")
@click.option("--nodes", default=20, show_default=True, help="That start at once (f1).")
@click.option("--kills", default=20, show_default=True, help="Upgraders that are killed (f4).")
@click.option("--seed", type=int, help="That of an earlier run, to kill at the same points.")
@click.option("--parts", "names", default=",".join(NAMES), show_default=True, help="Only these.")
@click.option("--smoke", is_flag=True, help="Small, in seconds: does it work at all?")
@click.option("--keep", type=_PATH, help="Folder for the server; archives in it are kept and used again.")
@click.option("--json", "json_file", type=_PATH, help="Where to write, instead of benchmarks/results.")
def main(
    instances: int,
    writers: int,
    rate: float,
    nodes: int,
    kills: int,
    seed: int | None,
    names: str,
    smoke: bool,
    keep: Path | None,
    json_file: Path | None,
) -> None:
    """Upgrade synthetic archives from revision 1 to 10 and measure."""
    chosen = _chosen(names)
    if smoke:
        instances, writers, nodes, kills = 5_000, 2, 2, 1
    seed = random.randrange(10**6) if seed is None else seed
    console = Console()
    console.print(f"seed {seed}", highlight=False)
    runs: dict[str, Run] = {
        "f1": (min(instances, NODES_INSTANCES), lambda setting: many_nodes(setting, nodes)),
        "f2": (instances, lambda setting: beside_writers(setting, writers, rate, 0.3 if smoke else 3)),
        "f3": (instances, child_counts),
        "f4": (min(instances, KILLS_INSTANCES), lambda setting: killed_upgraders(setting, kills)),
    }
    before = load_average()
    logs = {name: Log() for name in chosen}
    with _folder(keep) as folder, LocalPostgreSQL(folder) as server:
        found = _measured(server, {name: runs[name] for name in chosen}, seed, logs)
        where = machine(server) | {"load_average_before": before}
    console.print(table(found))
    file = json_file or (None if smoke else RESULTS / f"schema_upgrade_pg{where['postgresql'].split('.')[0]}.json")
    if file is not None:
        write(file, found, where)
        for name, log in logs.items():
            log.write(file.with_suffix(f".{name}.log"))
        console.print(f"written to {file}", highlight=False)
    # How fast a small upgrade is says nothing; whether it is right does.
    figures = [figure for part in found.values() for figure in part.figures]
    sys.exit(0 if all(figure.met or (smoke and figure.is_speed) for figure in figures) else 1)


def _measured(server: LocalPostgreSQL, runs: dict[str, Run], seed: int, logs: dict[str, Log]) -> dict[str, Part]:
    found: dict[str, Part] = {}
    display = Display()
    for name, (instances, run) in runs.items():
        archive = Archive.of_at_least(instances)
        with display.part(name):
            prepare(server, archive, display.tell)
            with tempfile.TemporaryDirectory() as folder:
                tell = logs[name].telling(display.tell)
                found[name] = run(Setting(server, archive, Path(folder), seed, tell, logs[name]))
            for figure in found[name].figures:
                logs[name].note(f"{figure.name}: {figure.measured} (wanted: {figure.wanted})")
    return found


def _chosen(names: str) -> Sequence[str]:
    chosen = [name for name in names.lower().split(",") if name]
    unknown = set(chosen) - set(NAMES)
    if unknown or not chosen:
        raise click.BadParameter(f"{', '.join(sorted(unknown)) or 'nothing'}; there are {', '.join(NAMES)}")
    return chosen


@contextmanager
def _folder(keep: Path | None) -> Iterator[Path]:
    if keep is not None:
        yield keep
        return
    with tempfile.TemporaryDirectory(prefix="schema-upgrade-") as folder:
        yield Path(folder)


if __name__ == "__main__":
    main()
