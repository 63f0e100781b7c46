"""A named unit of work as one transaction, run again as a whole when that may help.

Invariants:

* A unit of work runs entirely or not at all, and it is handed nothing of an earlier attempt.
* Only Transient errors lead to another attempt. Time is bounded, and so are attempts unless another transaction was in
  the way: who loses a conflict may win the next one. Pauses are jittered so that losers do not meet again.
* Loss of the connection once COMMIT was sent is CommitUnknown. It is replayed like the others (public ids make that
  safe) but if it is the last word the caller must not assume that nothing happened.
"""

import copy
import logging
import sqlite3
import time
from collections.abc import Callable, Iterable
from typing import Any, LiteralString, TypeVar

import psycopg
import tenacity
from psycopg import sql
from psycopg.rows import TupleRow
from tenacity.stop import stop_base

from cluster import telemetry
from cluster.config import PostgreSQLSettings
from cluster.database.accompanying import ALONE, Accompanying
from cluster.database.arrays import integers, texts
from cluster.database.pool import Pool, PooledConnection
from cluster.database.sqlite_connection import translate_sqlite
from cluster.database.sqlstate import CONNECTION_LOST, translate
from cluster.errors import (
    AccessRefused,
    ClusterError,
    CommitUnknown,
    DatabaseUnavailable,
    ReadOnlyServer,
    SerializationConflict,
    Transient,
)
from cluster.failpoints import failpoint

T = TypeVar("T")
V = TypeVar("V")
ArrayOf = Callable[[Iterable[V]], Any]
Row = TupleRow
_LOG = logging.getLogger(__name__)

_ISOLATION: dict[str, LiteralString] = {"ReadCommitted": "READ COMMITTED", "Serializable": "SERIALIZABLE"}
_ISOLATION_OF_READERS: dict[str, LiteralString] = {
    "READ COMMITTED": "READ COMMITTED",
    "SERIALIZABLE": "REPEATABLE READ",
}
_LOCK_TIMEOUT = "10s"
_AWAY = (DatabaseUnavailable, AccessRefused, ReadOnlyServer)


class Database:
    """The index database as one process sees it; here in PostgreSQL, in SQLite by `SqliteDatabase`."""

    arrays: tuple[ArrayOf[int], ArrayOf[str | None]] = (integers, texts)
    """What long lists of numbers and of texts become, to be bound to `call`."""

    def __init__(self, settings: PostgreSQLSettings, *, time_budget_seconds: float = 30.0) -> None:
        self._pool = Pool(settings)
        self._time_budget_seconds = time_budget_seconds
        self._attempts = settings.maximum_connection_retries + 1
        self._isolation = _ISOLATION[settings.transaction_mode]
        self._guard: Callable[[psycopg.Cursor[Row]], None] | None = None
        self.schema_name = settings.schema_name

    def guarded(self, guard: Callable[[psycopg.Cursor[Row]], None]) -> "Database":
        """The same database and pool; `guard` is done first in every unit of work that may write, in its transaction.

        What it raises is what the unit of work raises, and nothing of that happens then.
        """
        twin = copy.copy(self)
        twin._guard = guard
        return twin

    def open(self) -> None:
        """Open the pool of this process (after fork)."""
        self._pool.open()

    def close(self) -> None:
        """Close the pool."""
        self._pool.close()

    def run(
        self,
        name: str,
        work: Callable[[psycopg.Cursor[Row]], T],
        *,
        read_only: bool = False,
        beside: Accompanying = ALONE,
        turns: LiteralString | None = None,
    ) -> T:
        """Begin, do `work` with a cursor, commit; again from the beginning when a Transient error says so.

        Args:
            beside: done in the same transaction, around the work.
            turns: a table; those who name it go one at a time under Serializable. They have to do so from before their
                snapshot on, or each would fail that waited: a lock taken by a query comes too late.

        Raises:
            Transient: attempts or time were used up; the last error. CommitUnknown if it may have happened.
            Permanent: at once.
        """

        def attempt(connection: PooledConnection) -> T:
            with connection.cursor() as cursor:
                self._begin(cursor, read_only, turns)
                try:
                    if self._guard is not None and not read_only:
                        self._guard(cursor)
                    beside.do_first(cursor)
                    result = work(cursor)
                    beside.do_last(cursor)
                except ClusterError:
                    # The work's own decision, not the server's: nothing has gone wrong that the pool should mend.
                    cursor.execute("ROLLBACK")
                    raise
                return self._commit(cursor, result)

        return self._replay(name, lambda deadline: self._connected(deadline, attempt))

    def call(
        self,
        name: str,
        statement: LiteralString,
        values: Any,
        beside: Accompanying = ALONE,
        *,
        turns: LiteralString | None = None,
    ) -> list[Row]:
        """One statement as a whole transaction in one round trip.

        It has to bring its own search_path and lock_timeout, as the functions in schema `cluster` do: where the
        server's default is the isolation level that is wanted, nothing is sent before it and it commits by itself.
        Elsewhere, and where others are to be done `beside` it, BEGIN, statements and COMMIT go in one pipeline.

        Raises:
            As `run`; a connection lost on the way is always CommitUnknown, because COMMIT is under way with it.
        """

        if self._guard is not None:
            # Its answer has to be known before anything else is sent.
            return self.run(
                name, lambda cursor: cursor.execute(statement, values).fetchall(), beside=beside, turns=turns
            )

        def attempt(connection: PooledConnection) -> list[Row]:
            try:
                if not beside and connection.default_isolation == self._isolation.lower():
                    return connection.execute(statement, values).fetchall()
                with connection.pipeline(), connection.cursor() as begin, connection.cursor() as cursor:
                    self._begin(begin, read_only=False, turns=turns)
                    beside.do_first(begin)
                    cursor.execute(statement, values)
                    beside.do_last(begin)
                    failpoint("rows_written")
                    begin.execute("COMMIT")
                    return cursor.fetchall()
            except psycopg.Error as error:
                raise _commit_unknown_if_lost(error) from error

        return self._replay(name, lambda deadline: self._connected(deadline, attempt))

    def _connected(self, deadline: float, attempt: Callable[[PooledConnection], T]) -> T:
        connection = self._pool.take(deadline - time.monotonic())
        try:
            return attempt(connection)
        finally:
            self._pool.give_back(connection)

    def _begin(self, cursor: psycopg.Cursor[Row], read_only: bool, turns: LiteralString | None) -> None:
        access: LiteralString = "READ ONLY" if read_only else "READ WRITE"
        # One snapshot is all that a reader needs. As a serializable transaction it would make writers fail.
        isolation = _ISOLATION_OF_READERS[self._isolation] if read_only else self._isolation
        cursor.execute(sql.SQL("BEGIN ISOLATION LEVEL {} {}").format(sql.SQL(isolation), sql.SQL(access)))
        if turns is not None and self._isolation == _ISOLATION["Serializable"]:
            # Neither of the two takes the snapshot.
            cursor.execute(sql.SQL("SET LOCAL lock_timeout = {}").format(sql.Literal(_LOCK_TIMEOUT)))
            cursor.execute(sql.SQL("LOCK TABLE {} IN EXCLUSIVE MODE").format(sql.Identifier(*turns.split("."))))
        # Local to the transaction: a session setting would leak to others behind PgBouncer.
        cursor.execute(
            "SELECT set_config('search_path', quote_ident(%s), true), set_config('lock_timeout', %s, true),"
            # No statement of ours runs for as long as compiling it takes.
            " set_config('jit', 'off', true)",
            (self.schema_name, _LOCK_TIMEOUT),
        )

    def _commit(self, cursor: psycopg.Cursor[Row], result: T) -> T:
        try:
            cursor.execute("COMMIT")
        except psycopg.Error as error:
            raise _commit_unknown_if_lost(error) from error
        return result

    def _failed(self, error: ClusterError) -> None:
        """The database is away, as far as this process can tell."""
        self._pool.outage.failed(str(error))

    def _succeeded(self) -> None:
        self._pool.outage.succeeded()

    def _replay(self, name: str, attempt: Callable[[float], T]) -> T:
        """Do it, again if that may help; `attempt` is told when time is up."""
        started = time.monotonic()
        deadline = started + self._time_budget_seconds
        doubtful = False
        retries = 0
        failure: str | None = None

        def once() -> T:
            nonlocal doubtful
            try:
                result = attempt(deadline)
            except CommitUnknown as error:
                doubtful = True
                self._failed(error)
                raise
            except psycopg.Error as error:
                meaning = translate(error)
                if isinstance(meaning, _AWAY):
                    self._failed(meaning)
                raise meaning from error
            except sqlite3.Error as error:
                raise translate_sqlite(error) from error
            self._succeeded()
            return result

        def count(state: tenacity.RetryCallState) -> None:
            nonlocal retries
            retries += 1
            error = state.outcome.exception() if state.outcome else None
            telemetry.transaction_retries.labels(name, sqlstate_of(error)).inc()
            _LOG.warning("transaction %s is run again (attempt %d): %s", name, state.attempt_number, error)

        replay = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(Transient),
            stop=_TooManyFailures(self._attempts) | tenacity.stop_after_delay(self._time_budget_seconds),
            wait=tenacity.wait_random_exponential(multiplier=0.02, max=1.0),
            before_sleep=count,
            reraise=True,
        )
        try:
            return replay(once)
        except ClusterError as error:
            failure = sqlstate_of(error)
            telemetry.transaction_failures.labels(name, failure).inc()
            if doubtful and not isinstance(error, CommitUnknown):
                # Whatever ended the last attempt, an earlier one may have committed.
                raise CommitUnknown(str(error)) from error
            raise
        finally:
            telemetry.end_transaction(name, started, retries, failure)


class _TooManyFailures(stop_base):
    """Says stop after so many attempts that failed otherwise than by a conflict of transactions."""

    def __init__(self, maximum: int) -> None:
        self._left = maximum

    def __call__(self, retry_state: tenacity.RetryCallState) -> bool:
        error = retry_state.outcome.exception() if retry_state.outcome else None
        self._left -= not isinstance(error, SerializationConflict)
        return self._left <= 0


def sqlstate_of(error: BaseException | None) -> str:
    """The SQLSTATE below one of our errors, or SQLite's name; that of a lost connection where libpq gave none."""
    while error is not None:
        if isinstance(error, sqlite3.Error):
            return getattr(error, "sqlite_errorname", "SQLITE_ERROR")
        if isinstance(error, psycopg.Error) and error.sqlstate:
            return error.sqlstate
        error = error.__cause__
    return CONNECTION_LOST


def _commit_unknown_if_lost(error: psycopg.Error) -> ClusterError:
    meaning = translate(error)
    return CommitUnknown(str(meaning)) if isinstance(meaning, DatabaseUnavailable) else meaning
