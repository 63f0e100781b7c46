"""An upgrade from revision 1 to 10 beside writers: how long they wait, how long it takes, and whether all is right."""

import time

from benchmarks.archives import copy
from benchmarks.figures import Part
from benchmarks.upgrade.child_counts import fill_alone
from benchmarks.upgrade.findings import Findings
from benchmarks.upgrade.lock_watch import watching
from benchmarks.upgrade.process import configuration, ledger, upgrade
from benchmarks.upgrade.setting import Setting
from benchmarks.upgrade.writer_check import faults
from benchmarks.upgrade.writers import APPLICATION_NAME, writing


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
        setting.tell("what the offline way leaves to be done")
        left = fill_alone(uri)
    setting.tell("copying the archive")
    with copy(setting.server, setting.archive.database, "f2_online") as uri:
        file = configuration(setting.folder, uri, BackFillPercent=100)
        setting.tell("upgrading beside writers")
        with watching(uri, APPLICATION_NAME) as spells, writing(uri, writers, rate, setting.seed) as work:
            time.sleep(lead_seconds)
            began = time.time()
            online = upgrade(file)
            ended = time.time()
            time.sleep(lead_seconds)
        steps = ledger(uri)
        setting.tell("checking every instance")
        wrong = faults(uri, work)
    Findings(steps, spells.ended, work.stored, began, ended).report(part, online, offline, left)
    part.details |= {"replays": dict(work.replays), "faults": wrong[:10]}
    measured = "right" if not wrong else f"{len(wrong):,} wrong, such as {wrong[0]}"
    part.add(f"{len(work.stored):,} acknowledged instances, statistics, child counts", "right", measured, not wrong)
    return part
