"""``python -m benchmarks.rollout``: see README.md."""

import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import click

from benchmarks.archives import Archive, prepare
from benchmarks.archives import copy as copy_of
from benchmarks.figures import Display, Part
from benchmarks.ingest.machine import load_average, machine, own_server
from benchmarks.ingest.outcome import finish
from benchmarks.parts import parts_option
from tests.acceptance.rollout.earlier import earlier_programs
from tests.acceptance.rollout.haproxy import find_haproxy
from tests.acceptance.rollout.healing import database_outage, frozen, killed_at_random, redis_outage
from tests.acceptance.rollout.rollouts import rolling_update, scale, side_by_side, upgrade
from tests.acceptance.rollout.stage import LARGE, SMALL, Seen, Size, Stage
from workers.local.postgresql import LocalPostgreSQL

INSTANCES = 200_000
_PATH = click.Path(path_type=Path)

SCENARIOS: dict[str, Callable[[Stage], Seen]] = {
    "rolling": rolling_update,
    "upgrade": upgrade,
    "frozen": frozen,
    "outage": database_outage,
    "redis": redis_outage,
    "scale": scale,
    "killed": killed_at_random,
    "versions": lambda stage: side_by_side(stage, earlier_programs(stage.folder)),
}


@click.command()
@click.option("--scale", "factor", type=float, help="What Kubernetes' seconds are multiplied by.")
@click.option("--senders", type=int, help="16 unless told otherwise, 6 with --smoke.")
@click.option("--instances", default=INSTANCES, show_default=True, help="Of the archive that is upgraded.")
@parts_option(*SCENARIOS)
@click.option("--smoke", is_flag=True, help="Small: does it work at all?")
@click.option("--json", "json_file", type=_PATH, help="Where to write, instead of benchmarks/results.")
def main(
    factor: float | None,
    senders: int | None,
    instances: int,
    names: Sequence[str],
    smoke: bool,
    json_file: Path | None,
) -> None:
    """Rehearse rollouts and breakdowns of the chart's pods under load."""
    haproxy = find_haproxy()
    if haproxy is None:
        raise click.ClickException("HAProxy is not installed")
    before = load_average()
    size = SMALL if smoke else LARGE
    size = replace(size, scale=factor or size.scale, senders=senders or size.senders)
    archive = Archive.of_at_least(5_000 if smoke else instances)
    display = Display()
    found: dict[str, Part] = {}
    with own_server() as server:
        for name in names:
            with display.part(name):
                display.tell("getting ready")
                found[name] = _part(_rehearsed(name, server, haproxy, size, archive, display), size)
        where = machine(server, before)
    sys.exit(finish("rollout", found, where, smoke=smoke, json_file=json_file))


def _rehearsed(
    name: str, server: LocalPostgreSQL, haproxy: Path, size: Size, archive: Archive, display: Display
) -> Seen:
    database = f"rollout_{name}"
    with tempfile.TemporaryDirectory(prefix="rollout-") as temporary:
        stage = Stage(Path(temporary), haproxy, server, database, size)
        if name == "upgrade":
            prepare(server, archive, display.tell)
            with copy_of(server, archive.database, database):
                display.tell("upgrading")
                return SCENARIOS[name](stage)
        server.create_database(database)
        display.tell(f"{size.senders} senders")
        return SCENARIOS[name](stage)


def _part(seen: Seen, size: Size) -> Part:
    part = Part(sizes={"senders": size.senders, "scale": size.scale}, details=dict(seen.details))
    for claim in seen.claims:
        part.add(claim.name, claim.wanted, claim.measured, claim.met, is_speed=claim.is_speed)
    if seen.unmet:
        part.details["history"] = seen.history.splitlines()
    return part


if __name__ == "__main__":
    main()
