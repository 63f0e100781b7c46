"""What the index says of itself, compared with its tables; corrected beside whoever writes."""

import time
from collections.abc import Callable, Iterator

from cluster.database import Database
from cluster.index.check import correct_totals, wrong_last_change, wrong_totals
from cluster.index.stored_files import correct_child_counts, wrong_child_counts
from cluster.reconciliation.findings import Finding, Kind

PARENTS_AT_A_TIME = 20_000


def compare_counts(database: Database, *, repair: bool, worked: Callable[[float], object]) -> Iterator[Finding]:
    """Totals, the last change and child counts.

    Raises:
        Transient, DatabaseRefused: as `Database.run`.
    """
    totals = wrong_totals(database)
    settled = "corrected" if repair and totals and correct_totals(database) else None
    for total in totals:
        yield Finding(Kind.WRONG_TOTAL, resource=total.name, stated=total.stated, found=total.actual, settled=settled)
    if last_change := wrong_last_change(database):
        yield Finding(Kind.WRONG_LAST_CHANGE, found=last_change)
    after: int | None = 0
    while after is not None:
        started = time.monotonic()
        wrong, after = wrong_child_counts(database, after, PARENTS_AT_A_TIME)
        if wrong and repair:
            correct_child_counts(database, wrong)
        worked(time.monotonic() - started)
        for found in wrong:
            yield Finding(
                Kind.WRONG_CHILD_COUNT,
                level=found.level.name.lower(),
                resource=found.public_id,
                stated=found.stated,
                found=found.actual,
                settled="corrected" if repair else None,
            )
