"""The three phases of an online upgrade: what is done before the switch, the switch, and what is done after it.

*Before* and *after* run beside writers, those of an old Orthanc included, and take no lock that makes one wait for
long. The *switch* is the script of `steps.py` in one short transaction, which finds everything long done or put off.
What runs before changes nothing that a plugin of the old revision could notice.
"""

from dataclasses import dataclass
from enum import Enum

from cluster.schema.revision import name_of
from cluster.schema.steps import REVISIONS, steps_between


class Phase(Enum):
    """When a step is done."""

    BEFORE = "before"
    SWITCH = "switch"
    AFTER = "after"


class Kind(Enum):
    """How a step is done."""

    INDEX = "CREATE INDEX CONCURRENTLY: outside of any transaction; what was left INVALID is built anew"
    STATEMENT = "one transaction that has to wait for a lock no longer than a moment"
    BATCHES = "many short transactions, each of which records how far it came"
    SWITCH = "the one transaction that changes the revision"


@dataclass(frozen=True, slots=True)
class OnlineStep:
    """One step of an online upgrade.

    Attributes:
        file: below ``sql/``; empty for the switch.
        lock: the strongest lock it takes, for the operator.
        reads: tables that are read as a whole, which is what takes time.
        seconds_per_million: for each million rows of `reads`, measured on two cores; an order of magnitude.
        index: name of the index that it builds.
    """

    phase: Phase
    kind: Kind
    title: str
    file: str
    lock: str
    reads: tuple[str, ...] = ()
    seconds_per_million: float = 0.0
    index: str = ""

    @property
    def name(self) -> str:
        """As it is written into the history: ``before: …``."""
        return f"{self.phase.value}: {self.title}"


@dataclass(frozen=True, slots=True)
class _When:
    """Done by an upgrade that makes the step to revision `crosses`, if it comes from one of `sources`."""

    crosses: tuple[int, ...]
    step: OnlineStep
    sources: tuple[int, ...] = REVISIONS


def _index(title: str, file: str, index: str, table: str, seconds_per_million: float) -> OnlineStep:
    lock = f"SHARE UPDATE EXCLUSIVE on {table}"
    reads = (table.lower(),)
    return OnlineStep(
        Phase.BEFORE, Kind.INDEX, title, f"before/{file}.sql", lock, reads, seconds_per_million, index.lower()
    )


def _statement(title: str, file: str, lock: str, seconds_per_million: float = 0.0) -> OnlineStep:
    reads = ("resources",) if seconds_per_million else ()
    return OnlineStep(Phase.BEFORE, Kind.STATEMENT, title, f"before/{file}.sql", lock, reads, seconds_per_million)


def _batches(phase: Phase, title: str, file: str, table: str, seconds_per_million: float) -> OnlineStep:
    lock = f"rows of {table}, a batch at a time"
    return OnlineStep(
        phase, Kind.BATCHES, title, f"{phase.value}/{file}.sql", lock, (table.lower(),), seconds_per_million
    )


_PREPARATIONS = (
    _When((2,), _index("public ids unique", "unique_public_id", "uniquepublicid", "Resources", 5.0)),
    _When((2,), _index("patients unique", "unique_patient_id", "uniquepatientid", "PatientRecyclingOrder", 1.0)),
    _When((3,), _index("children of a resource", "children_index", "ChildrenIndex2", "Resources", 2.0)),
    _When(
        (1, 2),
        _index("substring searches", "trigram_index", "DicomIdentifiersIndexValues2", "DicomIdentifiers", 8.0),
    ),
    _When(
        (3,),
        _index("searches by tag and value", "identifiers_index", "DicomIdentifiersIndex3", "DicomIdentifiers", 3.0),
    ),
    _When((4,), _statement("child counts kept right", "child_count_trigger", "no table"), sources=(3,)),
    _When((4,), _batches(Phase.BEFORE, "child counts corrected", "child_counts_03", "Resources", 2.0), sources=(3,)),
    _When((6,), _statement("foreign key for new rows", "foreign_key", "SHARE ROW EXCLUSIVE on Resources, a moment")),
    _When(
        (6,),
        _statement("foreign key of all rows", "foreign_key_validate", "SHARE UPDATE EXCLUSIVE on Resources", 1.0),
    ),
    _When((6,), _statement("patients", "patients", "none", 0.2)),
    _When(
        (10,),
        _batches(Phase.BEFORE, "statistics folded", "fold_statistics", "GlobalIntegersChanges", 5.0),
        sources=(2, 3, 4, 5, 6),
    ),
    _When(
        (10,),
        _batches(Phase.BEFORE, "invalid child counts", "invalid_child_counts", "InvalidChildCounts", 50.0),
        sources=(4, 5, 6),
    ),
)

_BACK_FILLS = (
    _When((6,), _batches(Phase.AFTER, "recycling order", "recycling_order", "PatientRecyclingOrder", 20.0)),
    # Counts may be missing whatever the revision was: Orthanc fills them at 50 rows a second. Not at revision 3, which
    # cannot tell that a child came while its parent's children were counted.
    _When((4, 5, 6, 10), _batches(Phase.AFTER, "child counts", "child_counts", "Resources", 1.0)),
)

BACK_FILLS = tuple(when.step for when in _BACK_FILLS)
"""All steps that can be left to do after a switch."""


def online_steps(source: int, target: int) -> tuple[OnlineStep, ...]:
    """All steps of an online upgrade, in order; none if the revisions are the same.

    Raises:
        ValueError: there is no such way, or it leads back.
    """
    way = steps_between(source, target)
    if source > target:
        raise ValueError(f"the way from revision {name_of(source)} to {name_of(target)} is no upgrade")
    if not way:
        return ()
    crossed = {step.target for step in way}

    def wanted(steps: tuple[_When, ...]) -> tuple[OnlineStep, ...]:
        return tuple(when.step for when in steps if crossed.intersection(when.crosses) and source in when.sources)

    switch = OnlineStep(
        Phase.SWITCH,
        Kind.SWITCH,
        f"{name_of(source)} → {name_of(target)}",
        "",
        "ACCESS EXCLUSIVE on all tables, below a second",
    )
    return (*wanted(_PREPARATIONS), switch, *wanted(_BACK_FILLS))
