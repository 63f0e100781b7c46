"""Whether files without a row will ever have one; see `cluster.index.left_files` for why this is certain."""

import time
from collections.abc import Callable, Collection

from cluster.database import Database
from cluster.index.left_files import condemn, judge, transactions_in_progress

POLL_SECONDS = 0.05


def verdict(
    database: Database, uuids: Collection[str], patience_seconds: float, pause: Callable[[float], object] = time.sleep
) -> set[str] | None:
    """Those of `uuids` that no row names and none ever will: their files may go.

    None if a transaction that might still name one does not end within `patience_seconds`. The UUIDs then stay
    condemned, and asking again later is right.

    Raises:
        Transient, DatabaseRefused: as `Database.run`.
    """
    condemn(database, uuids)
    earlier = transactions_in_progress(database)
    deadline = time.monotonic() + patience_seconds
    while earlier:
        earlier &= transactions_in_progress(database)
        if earlier:
            if time.monotonic() > deadline:
                return None
            pause(POLL_SECONDS)
    return judge(database, uuids)
