"""An upgrader that is killed at a random point: its successor comes to the same end as one that nobody disturbed."""

import random
import time
from pathlib import Path

import psycopg

from benchmarks.archives import copy
from benchmarks.figures import Part
from benchmarks.upgrade.process import configuration, history, ledger, started, upgrade
from benchmarks.upgrade.setting import Setting
from tests.schema.archive import checksums
from tests.support.catalogue import Catalogue, catalogue

MISSES_PER_KILL = 5
POLL_SECONDS = 0.005

Look = tuple[Catalogue, dict[str, str]]


def killed_upgraders(setting: Setting, kills: int) -> Part:
    """SIGKILL as often as wanted, each time on a new copy, at points that follow from the seed.

    Only kills that met an upgrade under way count: one that came too late has shown nothing. How long an upgrade takes
    varies, so each miss shortens the time that points are drawn from.
    """
    setting.tell("an undisturbed upgrade")
    with copy(setting.server, setting.archive.database, "f4_undisturbed") as uri:
        upgrade(configuration(setting.folder, uri))
        steps = ledger(uri)
        wanted = _look(uri)
    lasts = sum(step.seconds for step in steps)
    chance = random.Random(setting.seed)
    killed_at: list[str] = []
    differences: list[str] = []
    misses = 0
    while len(killed_at) < kills and misses < MISSES_PER_KILL * kills:
        after = chance.uniform(0, lasts)
        setting.tell(f"kill {len(killed_at) + 1} of {kills}, after {after:.2f} s")
        with copy(setting.server, setting.archive.database, "f4") as uri:
            file = configuration(setting.folder, uri)
            where = _killed(file, uri, after)
            if where is None:
                misses += 1
                lasts = after
                continue
            killed_at.append(f"{after:.3f} s, {where}")
            upgrade(file)
            differences += [f"{killed_at[-1]}: {text}" for text in _difference(uri, wanted)[:1]]
    part = Part(sizes={"kills": kills, "seed": setting.seed, "instances": setting.archive.instances})
    part.details |= {"killed_at": killed_at, "kills_that_came_too_late": misses, "differences": differences}
    same = len(killed_at) - len(differences)
    part.add("kills in the middle after which all is the same", str(kills), str(same), same == kills)
    return part


def _killed(file: Path, uri: str, after: float) -> str | None:
    """Kill an upgrade some seconds after it has written down its steps; where it was, or None if it was over.

    Until then it has done nothing that could be half done, and how long its start takes says nothing.
    """
    with started(file) as process:
        while process.running and not ledger(uri):
            time.sleep(POLL_SECONDS)
        time.sleep(after)
        process.kill()
    left = [step.name for step in ledger(uri) if step.done_at is None]
    return f"at {left[0]}" if left else None


def _look(uri: str) -> Look:
    with psycopg.connect(uri, autocommit=True) as connection:
        return catalogue(connection), checksums(connection)


def _difference(uri: str, wanted: Look) -> list[str]:
    """What differs from the undisturbed upgrade, in words; and steps that were done twice."""
    found = _look(uri)
    lines = [f"{kind}: {lines}" for kind, lines in (found[0] - wanted[0]).items()]
    lines += [f"rows of {table}" for table in wanted[1] | found[1] if wanted[1].get(table) != found[1].get(table)]
    return lines + [f"{step} was done {number} times" for step, number in history(uri).items() if number != 1]
