"""How many jobs of the cluster are in which state, bulk imports included: those that ``/jobs`` lists."""

from collections import Counter
from collections.abc import Mapping

from cluster.bulk.imports import Imports
from cluster.database import Database
from cluster.jobs.registry import Registry

STATES = ("Pending", "Running", "Success", "Failure", "Paused", "Retry")
"""Orthanc's words (interop/rest.md 10)."""


def states_of_jobs(database: Database, history: int | None) -> Mapping[str, int]:
    """A number for every state; cheap.

    Args:
        history: how many finished imports count (JobsHistorySize); None where there are no imports, which is in SQLite.
    """
    counts = Counter(dict.fromkeys(STATES, 0))
    counts.update(Registry(database).states())
    if history is not None:
        counts.update(Imports(database).states(history))
    return counts
