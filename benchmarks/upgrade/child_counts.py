"""How fast an upgrade that nobody disturbs fills in the child counts of patients, studies and series."""

from benchmarks.archives import copy
from benchmarks.figures import Part
from benchmarks.upgrade.process import configuration, ledger, upgrade
from benchmarks.upgrade.setting import Setting

WANTED_PER_SECOND = 50_000
STEP = "after: child counts"


def child_counts(setting: Setting) -> Part:
    """The rate of that step, from its beginning to its end."""
    with copy(setting.server, setting.archive.database, "f3") as uri:
        setting.tell("upgrading")
        seconds = upgrade(configuration(setting.folder, uri, BackFillPercent=100))
        steps = ledger(uri)
    [step] = [step for step in steps if step.name == STEP]
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
