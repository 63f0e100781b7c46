"""What an online upgrade leaves behind, and an upgrader in a process of its own, which can be killed."""

import multiprocessing
import os
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection

import psycopg

from cluster.schema import batches, build_ahead, by_rank
from cluster.schema.online import UpgradeOptions
from cluster.schema.upgrade import upgrade_online
from tests.schema.archive import checksums, housekeep, store, wrong_child_counts
from tests.support.catalogue import Catalogue, catalogue
from workers.local.children import wait_until

BATCH = 2
"""Rows, or keys: so few that every step in batches has several, also for a small archive."""
SIZES = (
    (batches, "_FIRST_SIZE"),
    (batches, "_LARGEST_SIZE"),
    (by_rank, "_SMALLEST"),
    (by_rank, "_LARGEST"),
)
WINDOW = 8
"""Keys that are read at once, to be written in batches of two rows and of one rank."""
UPGRADER = "upgrader under test"
PUBLIC = "SET search_path TO public"
CHILD_COUNTS = "after: child counts"
HISTORY = "SELECT step FROM cluster.schema_history ORDER BY pk"

# A process that forks our children before it has threads or connections: cheaper than a new interpreter for each, and
# nothing of pytest's is in them.
_CHILDREN = multiprocessing.get_context("forkserver")
_CHILDREN.set_forkserver_preload(["tests.support.upgrades"])


@dataclass(frozen=True)
class Ending:
    """What can be compared of two databases after the same upgrade.

    Attributes:
        own_tables: those of our PostgreSQL schema.
        history: the steps, in the order in which they were done.
        rows: step → how many rows its batches were about.
        at_once: checksums as the upgrade left them, and
        in_the_end: after what nodes do in the background.
    """

    catalogue: Catalogue
    own_tables: Sequence[str]
    history: Sequence[str]
    rows: dict[str, int]
    at_once: dict[str, str]
    in_the_end: dict[str, str]


def unsettle(connection: psycopg.Connection, revision: int) -> None:
    """Give every step something to do that the small archive has not: an index to build, counts that nobody knows."""
    connection.execute(PUBLIC)
    if revision == 1:
        connection.execute("DROP INDEX DicomIdentifiersIndexValues2")
    if revision >= 4:
        # Nothing is listed but one instance's parents, or counting those would do the back-fill's work.
        connection.execute("SELECT UpdateInvalidChildCounts()")
        store(connection, "p5", "p5.0", "p5.0.0", "p5.0.0.late")
    if revision >= 3:
        connection.execute("UPDATE Resources SET childCount = NULL WHERE resourceType = 1")
    if revision == 3:
        connection.execute("UPDATE Resources SET childCount = childCount + 7 WHERE resourceType = 2")


def ending(connection: psycopg.Connection) -> Ending:
    """Look at a database whose upgrade is over; what must never be left is asserted here."""
    connection.execute(PUBLIC)
    assert connection.execute("SELECT name FROM cluster.upgrade_steps WHERE done_at IS NULL").fetchall() == []
    own_tables = _own_tables(connection)
    assert "recycling_order" not in own_tables
    assert not_valid(connection) == []
    # Before any housekeeping, which would put right what a step had left out.
    assert wrong_child_counts(connection) == []
    at_once = checksums(connection)
    rows = connection.execute("SELECT name, row_count FROM cluster.upgrade_steps").fetchall()
    steps = history(connection)
    assert len(steps) == len(set(steps))
    found = catalogue(connection)
    housekeep(connection, 10)
    assert wrong_child_counts(connection) == []
    return Ending(found, own_tables, steps, dict(rows), at_once, checksums(connection))


def assert_same(disturbed: Ending, undisturbed: Ending) -> None:
    """The archive, its schema and the history do not tell that anybody was disturbed."""
    assert disturbed.catalogue - undisturbed.catalogue == {}
    assert disturbed.own_tables == undisturbed.own_tables
    assert disturbed.history == undisturbed.history
    assert disturbed.at_once == undisturbed.at_once
    assert disturbed.in_the_end == undisturbed.in_the_end
    # No row was done twice. Counts that nodes in the background knew first are no rows of the back-fill.
    done, expected = dict(disturbed.rows), dict(undisturbed.rows)
    assert 0 <= done.pop(CHILD_COUNTS) <= expected.pop(CHILD_COUNTS)
    assert done == expected


def history(connection: psycopg.Connection) -> list[str]:
    """The steps that were done, in order."""
    return [step for (step,) in connection.execute(HISTORY)]


def not_valid(connection: psycopg.Connection) -> list[str]:
    """Indexes that a build, or its removal, has left half-done."""
    rows = connection.execute(
        "SELECT indexrelid::regclass::text FROM pg_index WHERE NOT (indisvalid AND indisready AND indislive)"
    )
    return [name for (name,) in rows]


def _own_tables(connection: psycopg.Connection) -> list[str]:
    rows = connection.execute(
        "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'cluster'::regnamespace ORDER BY 1"
    )
    return [name for (name,) in rows]


def uri_of(connection: psycopg.Connection) -> str:
    info = connection.info
    return f"postgresql://{info.user}:{info.password}@{info.host}:{info.port}/{info.dbname}"


def session(connection: psycopg.Connection) -> psycopg.Connection:
    """Another session on the same database."""
    return psycopg.connect(uri_of(connection), autocommit=True)


def finish(connection: psycopg.Connection) -> list[str]:
    """Be the successor, who does what is left; returns the steps that it did."""
    return upgrade_online(connection, "public", "successor", 10, UpgradeOptions())


class Upgrader:
    """`upgrade_online` in a process of its own, in small batches. Context manager: killed at the end if need be."""

    def __init__(
        self,
        connection: psycopg.Connection,
        *,
        dies_at: str | None = None,
        dies_in_pause: int | None = None,
        batch: int = BATCH,
        builds_ahead: bool = False,
    ) -> None:
        """
        Args:
            builds_ahead: indexes too that are small.
            batch: how many rows, or keys, a batch has.
            dies_at: the step at whose beginning it kills itself.
            dies_in_pause: it kills itself in the so many-th pause of its work: after a batch, or before a step.
        """
        self._connection = connection
        self._begun, begun = _CHILDREN.Pipe(duplex=False)
        self._process = _CHILDREN.Process(
            target=_upgrade,
            args=(uri_of(connection), begun, dies_at, dies_in_pause, batch, builds_ahead),
            daemon=True,
        )

    def __enter__(self) -> "Upgrader":
        self._process.start()
        assert self._begun.poll(60)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.join()

    def stop(self) -> None:
        """SIGSTOP: it does nothing more, and its connections stay."""
        assert self._process.pid is not None
        os.kill(self._process.pid, signal.SIGSTOP)

    def kill(self) -> int | None:
        """SIGKILL; returns how the process ended, which is how it was ended before if it was."""
        self._process.kill()
        return self.ended()

    def ended(self) -> int | None:
        """Wait for its end, then for that of its backend, as a successor does that waits for the lock; returns the exit
        status: -9 if it was killed, 0 if there was nothing left to do."""
        self._process.join(60)
        assert self._process.exitcode is not None
        assert wait_until(lambda: not self.backends(), 10)
        return self._process.exitcode

    def backends(self) -> list[int]:
        """Those that PostgreSQL still has for an upgrader."""
        rows = self._connection.execute(
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND application_name = %s", (UPGRADER,)
        )
        return [pid for (pid,) in rows]


def _upgrade(
    uri: str, begun: Connection, dies_at: str | None, dies_in_pause: int | None, batch: int, builds_ahead: bool
) -> None:
    for module, name in SIZES:
        setattr(module, name, batch)
    if builds_ahead:
        build_ahead._WORTH_ROWS = 0
    by_rank._KEYS = WINDOW
    pauses: list[float] = []
    works = False

    def step_begins(step: str) -> None:
        nonlocal works
        works = True
        if step == dies_at:
            os.kill(os.getpid(), signal.SIGKILL)

    def pause(seconds: float) -> None:
        if works:
            pauses.append(seconds)
        if len(pauses) == dies_in_pause:
            os.kill(os.getpid(), signal.SIGKILL)

    with psycopg.connect(uri, autocommit=True, application_name=UPGRADER) as connection:
        begun.send_bytes(b"connected")
        upgrade_online(connection, "public", "killed", 10, UpgradeOptions(on_step=step_begins, pause=pause))
