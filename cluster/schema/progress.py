"""How far an upgrade is: for /readyz, /metrics, `schema status` and the progress bar."""

from dataclasses import dataclass

import psycopg
from psycopg.rows import TupleRow

from cluster.database import queries
from cluster.schema.ledger import exists
from cluster.schema.revision import Observation, name_of

_SQL = queries("cluster.schema", "ledger.sql")
_UNKNOWN_FRACTION = 0.0


@dataclass(frozen=True, slots=True)
class StepProgress:
    """One step; `fraction` is 0 to 1."""

    phase: str
    name: str
    lock: str
    estimated_seconds: float
    begun: bool
    done: bool
    fraction: float
    rows: int
    held_milliseconds: float | None
    seconds: float | None


@dataclass(frozen=True, slots=True)
class Progress:
    """The upgrade that is under way, or the last one."""

    node: str
    source: int
    target: int
    steps: tuple[StepProgress, ...]

    @property
    def current(self) -> StepProgress | None:
        """The first step that is not done; None when all are."""
        return next((step for step in self.steps if not step.done), None)

    @property
    def phase(self) -> str | None:
        """before, switch or after; None when all is done."""
        return self.current.phase if self.current else None

    @property
    def fraction(self) -> float:
        """How much of the estimated time is behind us, 0 to 1."""
        # A step that is estimated at nothing still is a step.
        weights = [step.estimated_seconds + 0.1 for step in self.steps]
        behind = sum(weight * step.fraction for weight, step in zip(weights, self.steps, strict=True))
        return behind / sum(weights) if weights else 1.0

    @property
    def seconds_left(self) -> float:
        """What is estimated for the rest."""
        return sum(step.estimated_seconds * (1 - step.fraction) for step in self.steps)

    def describe(self) -> str:
        """Such as ``upgrade 1→10, step 3 of 9, 41 %, by node x``."""
        done = sum(step.done for step in self.steps)
        return (
            f"upgrade {name_of(self.source)}→{name_of(self.target)}, step {min(done + 1, len(self.steps))} of "
            f"{len(self.steps)}, {self.fraction * 100:.0f} %, by node {self.node}"
        )


def read_progress(connection: psycopg.Connection[TupleRow]) -> Progress | None:
    """What the ledger says; None if there never was an online upgrade."""
    if not exists(connection):
        return None
    upgrade = connection.execute(_SQL["upgrade"]).fetchone()
    if upgrade is None:
        return None
    node, source, target, pid = upgrade
    steps = []
    for phase, name, lock, seconds, begun, done, upto, last, rows, held, took in connection.execute(_SQL["steps"]):
        fraction = 1.0 if done else min(1.0, upto / last) if last else _UNKNOWN_FRACTION
        if begun and not done and last is None and phase == "before":
            fraction = _index_build(connection, pid)
        steps.append(StepProgress(phase, name, lock, seconds, begun, done, fraction, rows, held, took))
    return Progress(node, source, target, tuple(steps))


def progress_of(connection: psycopg.Connection[TupleRow], seen: Observation) -> Progress | None:
    """The upgrade that is not finished on the index that was seen; None if there is none."""
    progress = read_progress(connection)
    if progress is None or progress.phase is None:
        return None
    expected = progress.target if progress.phase == "after" else progress.source
    return progress if seen.revision == expected else None


def _index_build(connection: psycopg.Connection[TupleRow], pid: int) -> float:
    row = connection.execute(_SQL["index_build"], {"pid": pid}).fetchone()
    if row is None or row[1] is None:
        return _UNKNOWN_FRACTION
    part, fraction = row[0], min(1.0, float(row[1]))
    # Building reads the table once, validation twice more in part; the first is most of it.
    return 0.7 * fraction if part.startswith("building") else 0.7 + 0.3 * fraction
