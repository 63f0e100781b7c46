"""The steps between revisions, and which SQL files each consists of (interop/schema.md 12, 13).

A step changes tables, rows and properties. Functions and triggers are not upgraded step by step: they are taken away
before the first step and those of the last revision are made after the last one, so it does not matter whose they
were. All of it is meant for one transaction: the whole upgrade with all nodes stopped, or the switch of an online one,
for which the long parts were done before (`phases.py`) or are left for after.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from itertools import pairwise

from cluster.schema.revision import UNKNOWN, name_of

REVISIONS = (UNKNOWN, 1, 2, 3, 4, 5, 6, 10)
"""In order; 7, 8 and 9 were never used."""

DROP_ROUTINES = "routines/drop.sql"
TRIGRAM = ("trigram_extension.sql", "trigram_index.sql")
LEFTOVERS = "upgrade/take_away_leftovers.sql"

_SINCE: dict[str, tuple[int, int]] = {
    "counters_01": (1, 1),
    "counters_02": (2, 10),
    "fold_02": (2, 5),
    "fold_06": (6, 6),
    "fold_10": (10, 10),
    "totals_03": (3, 10),
    "child_counts_03": (3, 3),
    "child_counts_04": (4, 10),
    "missing_child_counts_03": (3, 10),
    "changes_01": (1, 10),
    "change_lock_10": (10, 10),
    "deletion_01": (1, 1),
    "deleted_files_02": (2, 4),
    "deleted_files_05": (5, 10),
    "delete_resource_02": (2, 5),
    "delete_resource_06": (6, 10),
    "metadata_02": (2, 10),
    "recycling_01": (1, 1),
    "recycling_02": (2, 2),
    "recycling_03": (3, 5),
    "recycling_06": (6, 10),
    "create_instance_01": (1, 1),
    "create_instance_02": (2, 2),
    "create_instance_03": (3, 5),
    "create_instance_06": (6, 10),
}
"""File of functions and triggers → first and last revision that has it."""


@dataclass(frozen=True, slots=True)
class Step:
    """From one revision to the next one, up or down.

    Attributes:
        lock: the strongest lock that the step holds until commit, for the operator.
        reads: tables that are read or indexed as a whole, which is what takes time.
        seconds_per_million: for each million rows of the tables in `reads`; from the times that the manual reports
            for 150 million instances, so an order of magnitude.
        loses: what the target has no place for, as (table, condition) of the rows concerned.
        long: files with what takes time in proportion to the rows.
        later: what the switch of an online upgrade runs in their place.
    """

    source: int
    target: int
    lock: str
    reads: tuple[str, ...] = ()
    seconds_per_million: float = 0.0
    loses: tuple[tuple[str, str], ...] = ()
    long: tuple[str, ...] = ()
    later: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Such as ``1 → 2``."""
        return f"{name_of(self.source)} → {name_of(self.target)}"

    def files(self, *, online: bool) -> tuple[str, ...]:
        """The SQL files of the step, in order: of all of it, or of the switch of an online upgrade."""
        folder = "upgrade" if self.source < self.target else "downgrade"
        own = f"{folder}/{self.source:02}_to_{self.target:02}.sql"
        # Databases before revision 2 may have been made without pg_trgm.
        trigram = TRIGRAM if folder == "upgrade" and self.target <= 2 else ()
        return (*trigram, own, *(self.later if online else self.long))


_UP = (
    Step(UNKNOWN, 1, "ACCESS EXCLUSIVE on Metadata, AttachedFiles", ("attachedfiles", "resources"), 1.0),
    Step(1, 2, "ACCESS EXCLUSIVE on Resources, PatientRecyclingOrder", ("resources",), 6.0),
    Step(2, 3, "ACCESS EXCLUSIVE on Resources, SHARE on DicomIdentifiers", ("resources", "dicomidentifiers"), 1.5),
    Step(
        3, 4, "rows of Resources whose child count is wrong", ("resources",), 0.5, long=("upgrade/03_to_04_counts.sql",)
    ),
    Step(4, 5, "ACCESS EXCLUSIVE on AttachedFiles"),
    Step(
        5,
        6,
        "ACCESS EXCLUSIVE on Resources",
        ("resources",),
        8.0,
        long=("upgrade/05_to_06_protection.sql", "upgrade/05_to_06_recycling.sql"),
        later=("upgrade/05_to_06_protection_later.sql", "upgrade/05_to_06_recycling_later.sql"),
    ),
    Step(
        6,
        10,
        "ACCESS EXCLUSIVE on InvalidChildCounts, GlobalIntegersChanges, Queues",
        ("invalidchildcounts", "globalintegerschanges"),
        2.0,
    ),
)

_DOWN = (
    Step(10, 6, "ACCESS EXCLUSIVE on InvalidChildCounts, GlobalIntegersChanges, Queues"),
    Step(6, 5, "ACCESS EXCLUSIVE on Resources", ("resources",), 8.0, (("auditlogs", "true"),)),
    Step(
        5,
        4,
        "ACCESS EXCLUSIVE on AttachedFiles",
        loses=(("keyvaluestores", "true"), ("queues", "true"), ("attachedfiles", "customdata IS NOT NULL")),
    ),
    Step(4, 3, "rows of Resources listed in InvalidChildCounts"),
    Step(3, 2, "ACCESS EXCLUSIVE on Resources", ("resources",), 2.0),
    Step(2, 1, "ACCESS EXCLUSIVE on Resources, PatientRecyclingOrder", ("globalintegerschanges",), 1.0),
)

_STEPS = {(step.source, step.target): step for step in _UP + _DOWN}


def steps_between(source: int, target: int) -> tuple[Step, ...]:
    """The steps from one revision to another, in order; none if they are the same.

    Raises:
        ValueError: there is no such way.
    """
    if source not in REVISIONS or target not in REVISIONS or target == UNKNOWN != source:
        raise ValueError(f"no way leads from revision {name_of(source)} to {name_of(target)}")
    first, last = sorted((REVISIONS.index(source), REVISIONS.index(target)))
    way = REVISIONS[first : last + 1]
    return tuple(_STEPS[pair] for pair in pairwise(way if source <= target else way[::-1]))


def routines(revision: int) -> tuple[str, ...]:
    """The files with the functions and triggers of one revision."""
    return tuple(f"routines/{name}.sql" for name, (first, last) in _SINCE.items() if first <= revision <= last)


def scripts(source: int, target: int, *, online: bool = False) -> Iterator[tuple[str, str]]:
    """What leads from one revision to another: (part, name of the SQL file), in order.

    Args:
        online: the switch of an online upgrade, which leaves out what is done before and after it.
    """
    steps = steps_between(source, target)
    if not steps:
        return
    yield "take functions and triggers away", DROP_ROUTINES
    if source < target:
        yield "take away what was left half-built", LEFTOVERS
    for step in steps:
        for name in step.files(online=online):
            yield step.name, name
    for name in routines(target):
        yield f"functions and triggers of revision {target}", name


def text(name: str) -> str:
    """The SQL of one file."""
    return files("cluster.schema").joinpath("sql", name).read_text("utf-8")
