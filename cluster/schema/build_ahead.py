"""Indexes built ahead of their turn, on a session of their own, while the upgrader builds those of another table.

Nothing is known to be done by that: the upgrader comes to each step in its turn, waits for the builder, and builds what
it does not find valid. So whatever becomes of the builder costs time and nothing else.

Invariant: no builder outlives its upgrader's turn. A build cannot be part of a transaction that holds the epoch, so the
builder takes a key of ours first, looks at the epoch then, and keeps the key while it lives. A successor raises the
epoch first and waits for the key then: either the builder sees that it is too late, or the successor waits for it.
Else a builder that was cut off from its upgrader could remove, as left over, an index that the successor has just
built.
"""

import contextlib
import logging
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from types import TracebackType
from typing import Self

import psycopg
from psycopg.rows import TupleRow

from cluster.database.advisory_lock import BUILDER_KEY, hold_advisory_lock, try_advisory_lock
from cluster.errors import ClusterError, LockNotAvailable
from cluster.schema.concurrent_index import build_index
from cluster.schema.ledger import Ledger
from cluster.schema.phases import Kind, OnlineStep
from cluster.schema.plan import rows_read
from cluster.schema.session import same_server

_LOG = logging.getLogger(__name__)
_WORTH_ROWS = 100_000
"""An index of a smaller table is built sooner than a session is there."""
_POLL_SECONDS = 0.2
_PATIENCE_SECONDS = 0.5


def worth_building_ahead(
    connection: psycopg.Connection[TupleRow], schema_name: str, steps: Sequence[OnlineStep]
) -> list[OnlineStep]:
    """Those of `steps` that build an index of another large table than the first of them does.

    Two of one table would exclude each other.
    """
    builds = [step for step in steps if step.kind is Kind.INDEX]
    return [
        step
        for step in builds
        if step.reads != builds[0].reads and rows_read(connection, schema_name, step) >= _WORTH_ROWS
    ]


@contextlib.contextmanager
def nothing_is_built(connection: psycopg.Connection[TupleRow]) -> Iterator[None]:
    """No builder of an upgrader works during the block. The caller has the set-up lock.

    Raises:
        LockNotAvailable: one does, whose upgrader was cut off.
    """
    with try_advisory_lock(connection, BUILDER_KEY) as is_gone:
        if not is_gone:
            raise LockNotAvailable("a session of the last upgrader still builds an index; try again in a moment")
        yield


def wait_for_builder(
    connection: psycopg.Connection[TupleRow], pause: Callable[[float], None], waiting: Callable[[str], None]
) -> None:
    """Return when the builder of a predecessor is gone. The caller has the set-up lock and has raised the epoch."""
    while True:
        with try_advisory_lock(connection, BUILDER_KEY) as is_gone:
            if is_gone:
                return
        waiting("a session of the last upgrader, which still builds an index")
        pause(_POLL_SECONDS)


class BuildAhead:
    """Context manager: after the block nothing is being built and the session is closed."""

    def __init__(
        self,
        session: psycopg.Connection[TupleRow],
        ledger: Ledger,
        schema_name: str,
        steps: Sequence[OnlineStep],
        pause: Callable[[float], None],
    ) -> None:
        """
        Args:
            session: the upgrader's, whose server, database and settings the builder shares.
            ledger: its epoch is the upgrader's.
            steps: that build the indexes, in their order; none: there will be no builder.
            pause: is called now and then while the builder is waited for; raises what ends the work.
        """
        self._session = session
        self._ledger = ledger
        self._schema_name = schema_name
        self._steps = steps
        self._pause = pause
        self._is_over = False
        self._pool = ThreadPoolExecutor(1, "build-ahead")
        self._builds: dict[str, Future[None]] = {}
        self._builder: psycopg.Connection[TupleRow] | None = None

    def __enter__(self) -> Self:
        if self._steps:
            try:
                self._builder = same_server(self._session)
            except psycopg.OperationalError as error:
                _LOG.info("no index is built ahead, as there is no second connection: %s", error)
                return self
            for step in self._steps:
                self._builds[step.name] = self._pool.submit(self._build, self._builder, step)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_over = True
        if self._builder is not None:
            # Again and again: a statement that begins just now would not notice.
            while wait(self._builds.values(), 0).not_done:
                with contextlib.suppress(psycopg.Error):
                    self._builder.cancel_safe(timeout=1)
                wait(self._builds.values(), _POLL_SECONDS)
            self._builder.close()
        self._pool.shutdown()

    def wait_for(self, step: OnlineStep) -> None:
        """Return when the step's index is built, or will not be."""
        build = self._builds.get(step.name)
        while build is not None and not wait([build], _PATIENCE_SECONDS).done:
            self._pause(0)

    def _build(self, builder: psycopg.Connection[TupleRow], step: OnlineStep) -> None:
        """Whatever goes wrong, the upgrader meets it in its turn, and says so."""
        try:
            # For each step, as the session may have it several times; it is let go of with the session.
            if self._is_over or not hold_advisory_lock(builder, BUILDER_KEY):
                return
            self._ledger.fence(builder)
            build_index(builder, self._schema_name, step)
        except (psycopg.Error, ClusterError) as error:
            if not self._is_over:
                _LOG.warning("%s: not built ahead: %s", step.name, error)
