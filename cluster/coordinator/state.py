"""What a node does about what it sees: a pure function, so that every case can be written down as a test.

Invariant: only a node that holds the set-up lock changes the schema, and it looks again after it got the lock; what
was seen before the lock was taken is only a reason to try for it.
"""

from enum import Enum

from cluster.schema.revision import Finding, Observation


class Action(Enum):
    """The next step of a node that is not ready yet."""

    SERVE = "the database is as wanted"
    INSTALL = "try for the set-up lock, then install what is missing"
    UPGRADE = "try for the set-up lock, then upgrade beside the writers of the old revision"
    REFUSE = "the database will not become servable by waiting"


def decide(seen: Observation, *, cluster_is_current: bool, may_upgrade: bool) -> Action:
    """From one look at the database to the next action.

    Args:
        cluster_is_current: our own PostgreSQL schema is at this program's version, or newer.
        may_upgrade: the configuration allows it, and this process has not served the database yet: one that has
            been serving finds an older revision only where somebody went back to it on purpose.
    """
    if seen.finding is Finding.EXACT:
        return Action.SERVE if cluster_is_current else Action.INSTALL
    if seen.finding is Finding.EMPTY:
        return Action.INSTALL
    if seen.finding is Finding.OLDER and may_upgrade:
        return Action.UPGRADE
    return Action.REFUSE
