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

Look = tuple[Catalogue, dict[str, str]]


def killed_upgraders(setting: Setting, kills: int) -> Part:
    """SIGKILL as often as wanted, each time on a new copy, at points that follow from the seed."""
    setting.tell("an undisturbed upgrade")
    with copy(setting.server, setting.archive.database, "f4_undisturbed") as uri:
        began = time.time()
        seconds = upgrade(configuration(setting.folder, uri))
        wanted = _look(uri)
        # An upgrader that has not begun with its first step has done nothing that could be half done.
        first = (ledger(uri)[0].begun_at or began) - began
    chance = random.Random(setting.seed)
    killed_at, differences = [], []
    for number in range(kills):
        after = chance.uniform(first, seconds)
        setting.tell(f"kill {number + 1} of {kills}, after {after:.2f} s")
        with copy(setting.server, setting.archive.database, "f4") as uri:
            file = configuration(setting.folder, uri)
            killed_at.append(f"{after:.2f} s, {_killed(file, uri, after)}")
            upgrade(file)
            differences += [f"{killed_at[-1]}: {text}" for text in _difference(uri, wanted)[:1]]
    part = Part(sizes={"kills": kills, "seed": setting.seed, "instances": setting.archive.instances})
    part.details |= {"undisturbed_seconds": round(seconds, 2), "killed_at": killed_at, "differences": differences}
    same = kills - len(differences)
    part.add("kills after which catalogue, rows and history are the same", str(kills), str(same), same == kills)
    return part


def _killed(file: Path, uri: str, after: float) -> str:
    """Run an upgrade and kill it after some seconds; where it was."""
    with started(file) as process:
        time.sleep(after)
        if not process.running:
            return "which was too late"
        process.kill()
    steps = ledger(uri)
    left = [step.name for step in steps if step.done_at is None]
    return f"at {left[0]}" if left else "at the end" if steps else "at the beginning"


def _look(uri: str) -> Look:
    with psycopg.connect(uri, autocommit=True) as connection:
        return catalogue(connection), checksums(connection)


def _difference(uri: str, wanted: Look) -> list[str]:
    """What differs from the undisturbed upgrade, in words; and steps that were done twice."""
    found = _look(uri)
    lines = [f"{kind}: {lines}" for kind, lines in (found[0] - wanted[0]).items()]
    lines += [f"rows of {table}" for table in wanted[1] | found[1] if wanted[1].get(table) != found[1].get(table)]
    return lines + [f"{step} was done {number} times" for step, number in history(uri).items() if number != 1]
