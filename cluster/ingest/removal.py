"""Removes the files of attachments that lost their row: after commit, by whoever finds the time.

Any number of processes may do it at once, each what it has claimed. One that is killed in the middle leaves its claim
to the others; a file that is missing already is no error.
"""

from collections.abc import Callable

from cluster.database import Database
from cluster.failpoints import failpoint
from cluster.index.removals import claim_removals, forget_removals, settle_removals
from cluster.storage.area import StorageArea

FILES_PER_CLAIM = 500


def remove_files(database: Database, storage: StorageArea, stop: Callable[[], bool] = lambda: False) -> int:
    """Remove all files that wait for it, unless `stop` says so in between; returns how many are gone.

    A file that cannot be removed stays claimed until its lease ends, and is tried again then.
    """
    gone = 0
    while not stop() and (claimed := claim_removals(database, FILES_PER_CLAIM)):
        failpoint("removals_claimed")
        removed = storage.remove_all(claimed)
        settle_removals(database, removed)
        gone += len(removed)
    forget_removals(database)
    return gone
