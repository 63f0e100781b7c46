"""One process of the cluster does something for all, the others stand by.

Who holds an advisory lock, on a direct connection of its own, is elected; the lock is polled, as a session that waits
in `pg_advisory_lock` is in the way of CREATE INDEX CONCURRENTLY. The lock alone is not enough: a process whose
connection was cut may not know that yet, and work on beside its successor. So whoever is elected begins a new *term*, a
number in `cluster.offices`, and every transaction of the work begins with a look at it, which keeps the row until
commit (`Database.guarded`). The order follows: lock, then term, then work. A term begins only when no transaction of
the one before is under way, and none can begin after.

A process that is stopped (SIGSTOP, a machine that sleeps) still has its connection. Its server ends a session that says
nothing for `SILENCE_SECONDS`; before PostgreSQL 14 no server can, and the office stays with such a process until TCP
gives its connection up.
"""

import contextlib
import logging
import threading
from collections.abc import Callable, Iterator

import psycopg
from psycopg.rows import TupleRow

from cluster.config import PostgreSQLSettings
from cluster.database import Database, Row, queries
from cluster.database.advisory_lock import hold_advisory_lock
from cluster.database.connection import connect, require_answer
from cluster.database.sqlstate import translate
from cluster.errors import OfficeLost

_LOG = logging.getLogger(__name__)
_SQL = queries("cluster.coordinator", "election.sql")
_POLL_SECONDS = 1.0
_STOP_SECONDS = 5.0

SILENCE_SECONDS = 5
"""After which the server ends the session, and the transaction, of a process in office that says nothing."""

_IDLE_SESSION_TIMEOUT_SINCE = 140000


class Election:
    """This process's candidacy for an office; from `start` to `stop`, in a thread."""

    def __init__(
        self,
        settings: PostgreSQLSettings,
        office: str,
        key: int,
        node: str,
        on_change: Callable[[int | None], None] = lambda term: None,
    ) -> None:
        """
        Args:
            key: of the advisory lock.
            node: this process's name, for people.
            on_change: is told the term each time this process is elected, and None each time it no longer is.
        """
        self._settings = settings
        self._office = office
        self._key = key
        self._node = node
        self._on_change = on_change
        self._term: int | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"election-{office}", daemon=True)

    @property
    def term(self) -> int | None:
        """The number of this process's term; None while another process is in office, or nobody."""
        return self._term

    def start(self) -> None:
        """Stand for the office from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Leave the office, if it is ours, and stand for it no more."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join(_STOP_SECONDS)

    def in_term(self, database: Database, term: int) -> Database:
        """The database for the work of `term`: after that, every unit of work raises OfficeLost and does nothing."""
        values = {"office": self._office, "term": term, "patience": f"{SILENCE_SECONDS}s"}

        def guard(cursor: psycopg.Cursor[Row]) -> None:
            if cursor.execute(_SQL["in_office"], values).fetchone() is None:
                raise OfficeLost(f"term {term} of {self._office} is over: another process has been elected")

        return database.guarded(guard)

    def pass_is_over(self, database: Database) -> None:
        """Note that all there was to do has been done once more; `database` is that of the term.

        Raises:
            OfficeLost: the term ended before.
        """
        values = {"office": self._office}
        database.run(f"{self._office}_pass", lambda cursor: cursor.execute(_SQL["pass_is_over"], values))

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                with contextlib.closing(self._session()) as session:
                    if self._wait_for_lock(session):
                        self._hold_office(session)
            except psycopg.Error as error:
                if not self._stopping.is_set():
                    _LOG.debug("election of %s: %s", self._office, translate(error))
            self._stopping.wait(_POLL_SECONDS)

    def _session(self) -> psycopg.Connection[TupleRow]:
        session = connect(self._settings)
        try:
            if session.info.server_version >= _IDLE_SESSION_TIMEOUT_SINCE:
                session.execute("SELECT set_config('idle_session_timeout', %s, false)", (f"{SILENCE_SECONDS}s",))
            session.execute("SELECT set_config('lock_timeout', %s, false)", (f"{2 * SILENCE_SECONDS}s",))
        except BaseException:
            session.close()
            raise
        return session

    def _wait_for_lock(self, session: psycopg.Connection[TupleRow]) -> bool:
        while not self._stopping.is_set():
            if hold_advisory_lock(session, self._key):
                return True
            self._stopping.wait(_POLL_SECONDS)
        return False

    def _hold_office(self, session: psycopg.Connection[TupleRow]) -> None:
        row = session.execute(_SQL["begin_term"], {"office": self._office, "node": self._node}).fetchone()
        assert row is not None
        with self._in_office(int(row[0])):
            while not self._stopping.wait(_POLL_SECONDS):
                require_answer(session, SILENCE_SECONDS)

    @contextlib.contextmanager
    def _in_office(self, term: int) -> Iterator[None]:
        self._term = term
        _LOG.info("%s: this process has been elected, term %d", self._office, term)
        self._on_change(term)
        try:
            yield
        except psycopg.Error as error:
            _LOG.warning("%s: term %d of this process is over: %s", self._office, term, translate(error))
            raise
        else:
            _LOG.info("%s: this process leaves the office, term %d", self._office, term)
        finally:
            self._term = None
            self._on_change(None)
