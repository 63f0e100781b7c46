"""Runs operations of the product side by side, step by step, in an order that is given."""

import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import psycopg

from cluster.database import Database
from cluster.errors import ClusterError
from cluster.storage.filesystem import FilesystemStorageArea
from tests.support.invariants import rows_and_files
from tests.support.settings import settings_for

POINTS = ("write", "rows", "log", "commit")
_KEY = 471_200
_DEADLINE_SECONDS = 30
_TABLES = (
    "Changes", "AttachedFiles", "MainDicomTags", "DicomIdentifiers", "Metadata", "InvalidChildCounts", "Resources",
    "GlobalIntegersChanges", "cluster.removed_attachments", "cluster.unstable_resources",
)  # fmt: skip

# In the product's sessions only: the name of the connection holds the number.
_PAUSES = f"""
CREATE SCHEMA isolation;
CREATE FUNCTION isolation.pause() RETURNS trigger LANGUAGE plpgsql SET lock_timeout TO 0 AS $$
DECLARE session text := substring(current_setting('application_name') FROM '^session ([0-9]+)$');
BEGIN
    IF session IS NOT NULL THEN
        PERFORM pg_advisory_xact_lock_shared({_KEY} + session::integer, TG_ARGV[0]::integer);
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER pause BEFORE INSERT OR DELETE ON Resources FOR EACH STATEMENT EXECUTE FUNCTION isolation.pause(0);
CREATE TRIGGER pause BEFORE INSERT ON AttachedFiles FOR EACH STATEMENT EXECUTE FUNCTION isolation.pause(1);
CREATE TRIGGER pause BEFORE INSERT ON Changes FOR EACH STATEMENT EXECUTE FUNCTION isolation.pause(2);
CREATE CONSTRAINT TRIGGER pause_commit AFTER INSERT OR UPDATE OR DELETE ON Resources
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION isolation.pause(3);
CREATE CONSTRAINT TRIGGER pause_commit AFTER UPDATE ON GlobalIntegers
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION isolation.pause(3);
CREATE CONSTRAINT TRIGGER pause_commit AFTER INSERT ON Changes
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION isolation.pause(3);
"""


@dataclass(frozen=True)
class Part:
    """What one session does, and where it pauses."""

    work: Callable[["Session"], Any]
    points: Sequence[str] = ()

    @property
    def steps(self) -> int:
        return 1 + len(self.points)


@dataclass
class Session:
    """A session of the product in a thread of its own."""

    number: int
    database: Database
    storage: FilesystemStorageArea
    notes: list[Any] = field(default_factory=list)
    """For the work to keep from one order to the next."""

    def __post_init__(self) -> None:
        self._work: queue.SimpleQueue[Callable[[Session], Any] | None] = queue.SimpleQueue()
        self.done = threading.Event()
        self.outcome: Any = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def start(self, work: Callable[["Session"], Any]) -> None:
        self.done.clear()
        self._work.put(work)

    def close(self) -> None:
        self._work.put(None)
        self._thread.join(10)
        self.database.close()

    def _run(self) -> None:
        while (work := self._work.get()) is not None:
            try:
                self.outcome = work(self)
            except ClusterError as error:
                self.outcome = error
            except BaseException as error:  # for the test to see
                self.outcome = error
            self.done.set()


class Stage:
    """The archive, its sessions, and who may go on. Context manager."""

    def __init__(self, database_uri: str, storage_directory: Path, mode: str, sessions: int = 3) -> None:
        self.storage_directory = storage_directory
        self.storage = FilesystemStorageArea(storage_directory, sync=False)
        self._stack = ExitStack()
        self.connection = self._stack.enter_context(psycopg.connect(database_uri, autocommit=True))
        if self.connection.execute("SELECT to_regnamespace('isolation')").fetchone() == (None,):
            self.connection.execute(_PAUSES)
        self.sessions = [
            Session(number, self._open(f"{database_uri}?application_name=session%20{number}", mode), self.storage)
            for number in range(sessions)
        ]
        self.own = self._open(database_uri, mode)
        for session in self.sessions:
            self._stack.callback(session.close)
        self._stack.callback(self.own.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.connection.execute("SELECT pg_advisory_unlock_all()")
        self._stack.close()

    def empty(self) -> None:
        """Without a resource. The numbers of changes go on: a follower of the log is used to that."""
        # No trigger and no TRUNCATE, which would make new files for forty tables and indexes.
        empty = "; ".join(f"DELETE FROM {table}" for table in _TABLES)
        self.connection.execute(
            f"BEGIN; SET LOCAL session_replication_role = replica; {empty};"
            " UPDATE GlobalIntegers SET value = 0 WHERE key < 6; COMMIT"
        )
        for name in rows_and_files(self.connection, self.storage_directory)[1]:
            self.storage.remove(name)

    def play(self, parts: Sequence[Part], order: Sequence[int]) -> list[Any]:
        """Do the parts in an order of their steps; what each came to (an exception is returned)."""
        for number, part in enumerate(parts):
            for point in part.points:
                self._lock("pg_advisory_lock", number, point)
        taken = [0] * len(parts)
        waiting = list(order)
        deadline = time.monotonic() + _DEADLINE_SECONDS
        while waiting:
            place = next((p for p, number in enumerate(waiting) if not self._is_held_up(number, taken[number])), None)
            if place is None:
                assert time.monotonic() < deadline, f"nobody can go on: {order}"
                time.sleep(0.002)
                continue
            number = waiting.pop(place)
            self._step(parts[number], number, taken[number])
            taken[number] += 1
            self._settle(taken)
        for session, _ in zip(self.sessions, parts, strict=False):
            assert session.done.wait(_DEADLINE_SECONDS), f"a session does not end: {order}"
        return [session.outcome for session, _ in zip(self.sessions, parts, strict=False)]

    def _step(self, part: Part, number: int, taken: int) -> None:
        if taken == 0:
            self.sessions[number].start(part.work)
        else:
            self._lock("pg_advisory_unlock", number, part.points[taken - 1])

    def _settle(self, taken: Sequence[int]) -> None:
        """Until every session that was started has ended, or waits for something."""
        deadline = time.monotonic() + _DEADLINE_SECONDS
        running = {number for number, steps in enumerate(taken) if steps}
        while running := {n for n in running if not self.sessions[n].done.is_set() and not self._blockers(n)}:
            assert time.monotonic() < deadline, "a session neither ends nor waits"
            time.sleep(0.002)

    def _is_held_up(self, number: int, taken: int) -> bool:
        """Whether a session waits for another one, and not for the stage."""
        if taken == 0 or self.sessions[number].done.is_set():
            return False
        return bool(self._blockers(number) - {self.connection.info.backend_pid})

    def _blockers(self, number: int) -> set[int]:
        rows = self.connection.execute(
            "SELECT unnest(pg_blocking_pids(pid)) FROM pg_stat_activity"
            " WHERE datname = current_database() AND application_name = %s AND state = 'active'",
            (f"session {number}",),
        )
        return {pid for (pid,) in rows}

    def _lock(self, function: str, number: int, point: str) -> None:
        self.connection.execute(f"SELECT {function}(%s, %s)", (_KEY + number, POINTS.index(point)))

    @staticmethod
    def _open(uri: str, mode: str) -> Database:
        settings = settings_for(uri, postgresql={"TransactionMode": mode, "IndexConnectionsCount": 1})
        database = Database(settings.postgresql)
        database.open()
        return database


def orders(steps: Sequence[int]) -> Iterator[tuple[int, ...]]:
    """Every order of the steps of so many sessions, each of which keeps its own."""
    if not any(steps):
        yield ()
    for number, left in enumerate(steps):
        if left:
            rest = [*steps[:number], left - 1, *steps[number + 1 :]]
            yield from ((number, *order) for order in orders(rest))
