"""How fast an upgrade that nobody disturbs fills in the child counts of patients, studies and series."""

import psycopg

from benchmarks.archives import copy
from benchmarks.figures import Part
from benchmarks.upgrade.process import configuration, upgrade
from benchmarks.upgrade.process import ledger as ledger_of
from benchmarks.upgrade.setting import Setting
from cluster.schema.batches import run_batches
from cluster.schema.ledger import Ledger
from cluster.schema.online import UpgradeOptions, prepare_session
from cluster.schema.phases import BACK_FILLS

WANTED_PER_SECOND = 50_000
[CHILD_COUNTS] = [step for step in BACK_FILLS if step.title == "child counts"]


def fill_alone(uri: str) -> float:
    """Do what an upgrade offline leaves to be done, as the online way does it; how many seconds it took."""
    options = UpgradeOptions()
    with psycopg.connect(uri, autocommit=True) as session:
        prepare_session(session, "public")
        ledger = Ledger(session, "benchmark")
        ledger.take_over(10, 10, [(CHILD_COUNTS, 0.0)])
        run_batches(session, ledger, CHILD_COUNTS, share=options.share, pause=options.pause)
    [step] = ledger_of(uri)
    return step.seconds


def child_counts(setting: Setting) -> Part:
    """The rate of that step, from its beginning to its end."""
    with copy(setting.server, setting.archive.database, "f3") as uri:
        setting.tell("upgrading")
        seconds = upgrade(configuration(setting.folder, uri, BackFillPercent=100))
        steps = ledger_of(uri)
    [step] = [step for step in steps if step.name == CHILD_COUNTS.name]
    part = Part(sizes={"instances": setting.archive.instances, "resources": step.rows})
    part.details |= {
        "upgrade_seconds": round(seconds, 2),
        "steps": {step.name: round(step.seconds, 3) for step in steps},
    }
    rate = step.rows / step.seconds
    measured = f"{rate:,.0f}/s in {step.seconds:.1f} s"
    met = rate >= WANTED_PER_SECOND and step.rows == setting.archive.parents
    part.add("child counts filled in", f"{WANTED_PER_SECOND:,}/s", measured, met, is_speed=True)
    return part
