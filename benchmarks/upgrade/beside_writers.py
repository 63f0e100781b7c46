"""An upgrade from revision 1 to 10 beside writers: how long they wait, how long it takes, and whether all is right."""

import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

from benchmarks.archives import copy
from benchmarks.figures import Part
from benchmarks.upgrade.child_counts import fill_alone
from benchmarks.upgrade.findings import Findings
from benchmarks.upgrade.lock_watch import watching
from benchmarks.upgrade.process import LedgerStep, configuration, ledger, upgrade
from benchmarks.upgrade.setting import Setting
from benchmarks.upgrade.writer_check import faults
from benchmarks.upgrade.writers import APPLICATION_NAME, Stored, writing


def beside_writers(setting: Setting, writers: int, rate: float, lead_seconds: float) -> Part:
    """The offline way of one copy of the archive, alone; then the online way of another one, beside writers.

    Args:
        lead_seconds: for how long writers write before and after the upgrade.
    """
    part = Part(sizes={"writers": writers, "rate": rate or "no limit", "instances": setting.archive.instances})
    setting.tell("copying the archive")
    with copy(setting.server, setting.archive.database, "f2_offline") as uri:
        setting.tell("the offline way")
        offline = upgrade(configuration(setting.folder, uri), "--offline")
        setting.tell(f"what the offline way, {offline:.1f} s, leaves to be done")
        left = fill_alone(uri)
    setting.tell("copying the archive")
    with copy(setting.server, setting.archive.database, "f2_online") as uri:
        file = configuration(setting.folder, uri, BackFillPercent=100)
        setting.tell(f"upgrading beside {writers} writers")
        with watching(uri, APPLICATION_NAME) as spells, writing(uri, writers, rate, setting.seed) as work:
            time.sleep(lead_seconds)
            began = time.time()
            setting.log.note("the upgrader is started", began)
            online = upgrade(file)
            ended = time.time()
            setting.log.note(f"the upgrader has ended with 0, after {online:.1f} s", ended)
            time.sleep(lead_seconds)
        steps = ledger(uri)
        setting.log.steps(steps)
        setting.log.writers(work.stored, spells.ended)
        setting.tell(f"checking {len(work.stored):,} acknowledged instances")
        wrong = faults(uri, work)
    Findings(steps, spells.ended, work.stored, began, ended).report(part, online, offline, left)
    part.details |= {"replays": dict(work.replays), "faults": wrong[:10]}
    part.details["instances_each_second"] = _each_second(work.stored, began, steps)
    measured = "right" if not wrong else f"{len(wrong):,} wrong, such as {wrong[0]}"
    part.add(f"{len(work.stored):,} acknowledged instances, statistics, child counts", "right", measured, not wrong)
    return part


def _each_second(stored: Sequence[Stored], began: float, steps: Sequence[LedgerStep]) -> dict[str, Any]:
    """For a plot: how many instances were acknowledged in each second, and when steps began, from the first one on."""
    ends = Counter(int(each.began + each.seconds) for each in stored)
    first = min(ends, default=int(began))
    return {
        "acknowledged": [ends[second] for second in range(first, max(ends, default=first) + 1)],
        "steps_began": {step.name: round(step.begun_at - first, 2) for step in steps if step.begun_at is not None},
    }
