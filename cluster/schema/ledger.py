"""What an online upgrade has done so far, in the database, and the fence that keeps a second one from going on.

Invariant: a step's effect and the word that it is done are one transaction, which also holds the epoch: whoever takes
over raises it, waits for the step under way, and finds either all of the step or nothing. The one exception is an index
built CONCURRENTLY, which cannot be part of a transaction; building it again finds it there.

The upgrader holds Orthanc's set-up lock on the same session in which it works, so a session that was cut off holds
the lock for as long as its backend still works.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg
from psycopg.rows import TupleRow

from cluster.database import queries
from cluster.errors import LockNotAvailable
from cluster.schema.phases import OnlineStep, Phase

_SQL = queries("cluster.schema", "ledger.sql")


@dataclass(frozen=True, slots=True)
class Entry:
    """What the ledger says of a step."""

    phase: Phase
    name: str
    done: bool


class Ledger:
    """The upgrade as its upgrader writes it down; several connections of one upgrader may share it."""

    def __init__(self, connection: psycopg.Connection[TupleRow], node: str) -> None:
        self._node = node
        self._epoch = 0
        self._connection = connection

    def take_over(self, source: int, target: int, planned: Sequence[tuple[OnlineStep, float]]) -> None:
        """Go on with the upgrade that another one left, or begin a new one.

        Args:
            planned: the steps from `source` to `target` with their estimated seconds.
        """
        way = {"source": source, "target": target}
        with self._connection.transaction():
            row = self._connection.execute(_SQL["take_over"], {"node": self._node, **way}).fetchone()
            assert row is not None
            self._epoch = row[0]
            known = steps(self._connection)
            # An upgrade whose switch is done, on a database that is at `source`: somebody went back since.
            is_over = any(step.done for step in known if step.phase is Phase.SWITCH)
            same_steps = [step.name for step in known] == [step.name for step, _ in planned]
            if tuple(row[1:]) == (source, target) and same_steps and not is_over:
                return
            self._connection.execute(_SQL["new_way"], way)
            for place, (step, seconds) in enumerate(planned):
                self._connection.execute(
                    _SQL["add_step"],
                    {
                        "place": place,
                        "phase": step.phase.value,
                        "name": step.name,
                        "lock": step.lock,
                        "estimated_seconds": seconds,
                    },
                )

    def take_over_as_it_is(self) -> None:
        """Go on with what is left of the last upgrade."""
        row = self._connection.execute(_SQL["take_over"], {"node": self._node, "source": 0, "target": 0}).fetchone()
        assert row is not None
        self._epoch = row[0]

    def abandon(self) -> None:
        """Nobody goes on with the last upgrade any more; a later one begins from its beginning."""
        with self._connection.transaction():
            self.take_over_as_it_is()
            self._connection.execute(_SQL["note_abandoned"], {"node": self._node})
            self._connection.execute(_SQL["forget"])

    @contextmanager
    def transaction(
        self, connection: psycopg.Connection[TupleRow] | None = None
    ) -> Iterator[psycopg.Connection[TupleRow]]:
        """A transaction that nobody but the upgrader of now can commit.

        Raises:
            LockNotAvailable: another upgrader has taken over.
        """
        connection = connection or self._connection
        with connection.transaction():
            self.fence(connection)
            yield connection

    def fence(self, connection: psycopg.Connection[TupleRow] | None = None) -> None:
        """Make sure that nobody has taken over.

        Raises:
            LockNotAvailable: somebody has.
        """
        row = (connection or self._connection).execute(_SQL["fence"]).fetchone()
        if row is None or row[0] != self._epoch:
            raise LockNotAvailable("another node has taken over the upgrade of the schema")

    def begin(self, step: str, last_key: int | None = None) -> tuple[int, int]:
        """A step is being worked on: (key up to which it is done, last key)."""
        with self.transaction() as connection:
            row = connection.execute(_SQL["begin_step"], {"name": step, "last_key": last_key}).fetchone()
        return (row[0], row[1] or 0) if row else (0, 0)

    def advance(self, connection: psycopg.Connection[TupleRow], step: str, done_upto: int, rows: int) -> None:
        """A batch was done in the transaction of `connection`."""
        connection.execute(_SQL["advance"], {"name": step, "done_upto": done_upto, "rows": rows})

    def end(self, connection: psycopg.Connection[TupleRow], step: str) -> None:
        """A step was done in the transaction of `connection`."""
        connection.execute(_SQL["end_step"], {"name": step, "node": self._node})

    def held(self, connection: psycopg.Connection[TupleRow], step: str, milliseconds: float) -> None:
        """The switch has kept everybody waiting for so long, up to here in its own transaction."""
        connection.execute(_SQL["held"], {"name": step, "milliseconds": milliseconds})


def steps(connection: psycopg.Connection[TupleRow]) -> list[Entry]:
    """The steps of the last upgrade, in order; none if there never was one."""
    if not exists(connection):
        return []
    return [
        Entry(Phase(phase), name, done)
        for phase, name, _, _, _, done, *_ in connection.execute(_SQL["steps"]).fetchall()
    ]


def done_by(connection: psycopg.Connection[TupleRow], node: str, steps: Sequence[str]) -> list[str]:
    """Those of `steps` that `node` did, each once, in the order in which they are given."""
    if not steps:
        return []
    doers: dict[str, str] = dict(connection.execute(_SQL["doers"], {"steps": list(steps)}).fetchall())
    return [step for step in dict.fromkeys(steps) if doers.get(step) == node]


def forget(connection: psycopg.Connection[TupleRow]) -> None:
    """The revision is changed without a ledger, in the transaction of `connection`."""
    if exists(connection):
        connection.execute(_SQL["forget"])


def unfinished_back_fills(connection: psycopg.Connection[TupleRow]) -> list[str]:
    """Names of the steps that an upgrade has left to do since its switch."""
    known = steps(connection)
    if not any(step.done for step in known if step.phase is Phase.SWITCH):
        return []
    return [step.name for step in known if step.phase is Phase.AFTER and not step.done]


def incompatible_nodes(connection: psycopg.Connection[TupleRow], revision: int) -> list[str]:
    """Processes of this program that are alive and cannot serve `revision`, in words."""
    if not exists(connection):
        return []
    rows = connection.execute(_SQL["incompatible_nodes"], {"revision": revision}).fetchall()
    return [
        f"{name} (version {version}, which serves {', '.join(map(str, revisions))})"
        for name, version, revisions in rows
    ]


def was_begun(connection: psycopg.Connection[TupleRow]) -> bool:
    """Whether there ever was an online upgrade."""
    return exists(connection) and connection.execute(_SQL["upgrade"]).fetchone() is not None


def exists(connection: psycopg.Connection[TupleRow]) -> bool:
    """Whether our own schema is there and knows of upgrades."""
    row = connection.execute(_SQL["exists"]).fetchone()
    return bool(row and row[0])
