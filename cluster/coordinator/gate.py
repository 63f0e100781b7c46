"""Nothing is received before the database is what this program serves.

`Gate.wait_until_ready` looks, and installs what is missing or upgrades what is old if it wins the set-up lock (exactly
one node does); the others look again. A database that cannot be reached is waited for: the node is alive and not ready
meanwhile, and `Gate.reason` says why.
"""

import contextlib
import logging
import threading
import time
from collections.abc import Callable

import psycopg
import tenacity
from psycopg.rows import TupleRow

from cluster.config import Settings
from cluster.coordinator.back_filler import BackFiller
from cluster.coordinator.membership import Membership
from cluster.coordinator.pulse import tell_metrics
from cluster.coordinator.readiness import Readiness
from cluster.coordinator.state import Action, decide
from cluster.coordinator.upgrader import upgrade
from cluster.database.advisory_lock import INDEX_KEY, SETUP_KEY, STORAGE_KEY, hold_advisory_lock, try_advisory_lock
from cluster.database.connection import connect, require_answer
from cluster.database.sqlstate import translate
from cluster.errors import (
    AccessRefused,
    ClusterError,
    DatabaseRefused,
    LockNotAvailable,
    SchemaMismatch,
    StorageFull,
    Transient,
    UpgradeUnderWay,
)
from cluster.schema.install import cluster_is_current, has_storage_area, install
from cluster.schema.progress import read_progress
from cluster.schema.revision import Finding, Observation, observe

_LOG = logging.getLogger(__name__)
_POLL_SECONDS = 0.2
_POLL_UPGRADE_SECONDS = 1.0
_BACK_FILL_STOP_SECONDS = 5.0
_PATIENCE = 1 / 3
"""Of the time budget of a transaction: an outage that is shorter is only a delay for senders, new ones included."""

_WAITED_FOR = (Transient, StorageFull)
"""What a starting node looks again after. A full disk of the server too: making room needs nothing of this process,
and an upgrade goes on where it ended."""


class Gate(Readiness):
    """Whether this process may receive; readable from any thread."""

    def __init__(
        self,
        settings: Settings,
        *,
        role: str = "client",
        on_change: Callable[[bool], None] = lambda is_ready: None,
        also: Callable[[], str | None] = lambda: None,
    ) -> None:
        """
        Args:
            role: what this process does, for whoever looks at the list of nodes.
            on_change: is told whether this process is ready, each time that changes; must not block.
            also: why this process can receive nothing, besides the database; likewise.
        """
        super().__init__(on_change)
        self._settings = settings
        self._membership = Membership(
            settings.cluster.node_name, [role], settings.postgresql.connection_retry_interval_seconds
        )
        self._also = also
        self._serves = role != "client"
        self._changing = threading.Lock()
        self._refusals = 0
        self._lost_since: float | None = None
        self._session: psycopg.Connection | None = None
        self._back_filler = BackFiller(settings, self._stopped)

    def stop(self) -> None:
        """Turn not ready for good (draining), and end `wait_until_ready` and `keep_watch`."""
        with self._changing:
            self._stopped.set()
            self._tell_world("draining")

    def wait_until_ready(self) -> bool:
        """Block until the database is servable; False if `stop` came first.

        Raises:
            SchemaMismatch, DatabaseRefused: waiting would not help; with `Lock`, another node has the database.
            AccessRefused: so often, one after the other, as MaximumConnectionRetries allows. A server that cannot be
                reached is waited for as long as it takes.
        """
        retry = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(_WAITED_FOR),
            wait=self._pause,
            sleep=tenacity.sleep_using_event(self._stopped),
            before_sleep=self._tell,
            stop=lambda _: (
                self._stopped.is_set() or self._refusals > self._settings.postgresql.maximum_connection_retries
            ),
            reraise=True,
        )
        try:
            retry(self._attempt)
        except _WAITED_FOR:
            if self._stopped.is_set():
                return False
            raise
        self._set(None)
        return not self._stopped.is_set()

    def keep_watch(self) -> None:
        """Until `stop`: not ready while the database cannot be reached or is no longer what we serve.

        A restart or failover of the server is shorter than a third of the time budget, and turns nobody away.

        What is in hand is not affected; it has its own time budget. Looks every ConnectionRetryInterval seconds, over
        one connection of its own, so that a busy pool does not look like an outage.
        """
        while not self._stopped.is_set():
            try:
                require_answer(self._own_session())
                reason = self._look(self._own_session()) or self._also()
                self._membership.heartbeat(self._own_session(), reason)
                self._lost_since = None
                self._set(reason)
                if reason is None and self._serves:
                    progress = read_progress(self._own_session())
                    tell_metrics(progress)
                    self._back_filler.look(progress)
            except psycopg.Error as error:
                self._end_session()
                self._lose(str(translate(error)))
            except ClusterError as error:
                self._set(str(error))
            self._stopped.wait(self._settings.postgresql.connection_retry_interval_seconds)

    def close(self) -> None:
        """Let go of the database, and of its lock; the last thing that a process does."""
        self._back_filler.join(_BACK_FILL_STOP_SECONDS)
        if self._session is not None and self._has_been_ready:
            with contextlib.suppress(psycopg.Error):
                self._membership.leave(self._session)
        self._end_session()

    def _own_session(self) -> psycopg.Connection:
        """The one connection that lives as long as this process, and holds Orthanc's lock with `Lock: true`."""
        if self._session is None:
            session = connect(self._settings.postgresql)
            try:
                if self._settings.postgresql.lock:
                    _lock_database(session, STORAGE_KEY if self._settings.postgresql.enable_storage else None)
            except BaseException:
                session.close()
                raise
            self._session = session
        return self._session

    def _end_session(self) -> None:
        if self._session is not None:
            self._session.close()
            self._session = None

    def _look(self, connection: psycopg.Connection[TupleRow]) -> str | None:
        """Why the database cannot be served now; None if it can."""
        schema_name = self._settings.postgresql.schema_name
        seen = observe(connection, schema_name)
        if self._decide(connection, seen) is not Action.SERVE:
            return seen.explain(schema_name)
        row = connection.execute("SELECT pg_is_in_recovery()").fetchone()
        return "the server is a standby and takes no writes" if row and row[0] else None

    def _attempt(self) -> None:
        try:
            self._look_and_act(self._own_session())
            self._membership.heartbeat(self._own_session(), None)
        except psycopg.Error as error:
            self._end_session()
            meaning = translate(error)
            self._refusals = self._refusals + 1 if isinstance(meaning, AccessRefused) else 0
            raise meaning from error
        except ClusterError as error:
            self._say_why(error)
            raise

    def _say_why(self, error: ClusterError) -> None:
        """Whoever looks at the list of nodes sees this one wait."""
        with contextlib.suppress(psycopg.Error):
            if self._session is not None and cluster_is_current(self._session, self._settings.postgresql.schema_name):
                self._membership.heartbeat(self._session, str(error))

    def _look_and_act(self, connection: psycopg.Connection[TupleRow]) -> None:
        schema_name = self._settings.postgresql.schema_name
        seen = observe(connection, schema_name)
        match self._decide(connection, seen):
            case Action.REFUSE:
                raise SchemaMismatch(seen.explain(schema_name))
            case Action.INSTALL:
                with try_advisory_lock(connection, SETUP_KEY) as held:
                    if not held:
                        raise LockNotAvailable("another node holds the set-up lock and installs the schema")
                    steps = self._install(connection)
                for step in steps:
                    _LOG.info("schema: %s", step)
            case Action.UPGRADE:
                self._upgrade(connection)
            case Action.SERVE:
                pass

    def _upgrade(self, connection: psycopg.Connection[TupleRow]) -> None:
        schema_name = self._settings.postgresql.schema_name
        with try_advisory_lock(connection, SETUP_KEY) as held:
            if not held:
                progress = read_progress(connection)
                tell_metrics(progress)
                raise UpgradeUnderWay(
                    f"waiting for {progress.describe()}"
                    if progress and progress.phase in ("before", "switch")
                    else "another node holds the set-up lock and looks at the schema"
                )
            seen = observe(connection, schema_name)
            if seen.finding is not Finding.OLDER or seen.revision is None:
                raise LockNotAvailable("another node has changed the schema")
            upgrade(self._settings, connection, seen.revision, self._membership, self._stopped, self._set)
            if self._settings.postgresql.enable_storage:
                self._install(connection)

    def _install(self, connection: psycopg.Connection[TupleRow]) -> list[str]:
        node = self._settings.cluster.node_name
        postgresql = self._settings.postgresql
        return install(connection, postgresql.schema_name, node, storage_area=postgresql.enable_storage)

    def _is_complete(self, connection: psycopg.Connection[TupleRow]) -> bool:
        """Whether all is there that this program wants besides Orthanc's index."""
        postgresql = self._settings.postgresql
        return cluster_is_current(connection, postgresql.schema_name) and (
            not postgresql.enable_storage or has_storage_area(connection, postgresql.schema_name)
        )

    def _decide(self, connection: psycopg.Connection[TupleRow], seen: Observation) -> Action:
        return decide(
            seen,
            cluster_is_current=self._is_complete(connection),
            may_upgrade=self._settings.cluster.automatic_upgrade and self._serves and not self._has_been_ready,
        )

    def _pause(self, state: tenacity.RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        if isinstance(error, UpgradeUnderWay):
            return _POLL_UPGRADE_SECONDS
        if isinstance(error, LockNotAvailable):
            return _POLL_SECONDS
        return float(self._settings.postgresql.connection_retry_interval_seconds)

    def _tell(self, state: tenacity.RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        self._set(str(error) if isinstance(error, ClusterError) else "waiting for the database")

    def _lose(self, reason: str) -> None:
        """No database: not ready, unless it may be back before anybody who sends something now has to be told."""
        now = time.monotonic()
        self._lost_since = self._lost_since or now
        patience = self._settings.cluster.transaction_time_budget_seconds * _PATIENCE
        if self._reason is not None or now - self._lost_since >= patience:
            self._set(reason)

    def _set(self, reason: str | None) -> None:
        with self._changing:
            if self._stopped.is_set() or reason == self._reason:
                return
            if reason is None:
                _LOG.info("ready")
            elif _topic(reason) != _topic(self._reason or ""):
                _LOG.warning("not ready: %s", reason)
            self._tell_world(reason)


def _topic(reason: str) -> str:
    """A reason without its figures: an upgrade has new ones each second, and the log needs them once."""
    return reason.partition(",")[0]


def _lock_database(session: psycopg.Connection[TupleRow], storage_key: int | None) -> None:
    keys = [INDEX_KEY] if storage_key is None else [INDEX_KEY, storage_key]
    if not all(hold_advisory_lock(session, key) for key in keys):
        raise DatabaseRefused(
            "PostgreSQL.Lock: another node, or a real Orthanc, has locked this database for itself; "
            "where several nodes shall write to it, set Lock to false on all of them"
        )
