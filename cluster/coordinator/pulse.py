"""What the world hears of an upgrade while the upgrader's own session is busy with it.

A thread with a connection of its own looks at the ledger about once a second: `/readyz`, `/metrics` and the progress
bar get what it finds, and the registry of nodes the sign of life. It also ends the statement under way when the process
is told to stop, so that a pod which is deleted does not hold the set-up lock until an index is built.
"""

import contextlib
import logging
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

import psycopg
from psycopg.rows import TupleRow

from cluster import telemetry
from cluster.config import PostgreSQLSettings, Settings
from cluster.database.connection import connect
from cluster.errors import NodeBusy
from cluster.schema.online import UpgradeOptions
from cluster.schema.progress import Progress, read_progress

_LOG = logging.getLogger(__name__)
_SECONDS = 1.0
_STOP_SECONDS = 0.1
_STOPS = "this process stops; another one goes on with the upgrade"


class Pulse:
    """Looks at the upgrade for as long as the block lasts.

    Raises NodeBusy at the end of the block if its statement was cancelled because this process is to stop.
    """

    def __init__(
        self,
        settings: PostgreSQLSettings,
        session: psycopg.Connection[TupleRow],
        stopped: threading.Event,
        on_look: Callable[[psycopg.Connection[TupleRow], Progress | None], None],
    ) -> None:
        """
        Args:
            session: the upgrader's, whose statement is cancelled once `stopped` is set.
            on_look: is told what the ledger says, with the connection that was used to look; in the thread.
        """
        self._settings = settings
        self._session = session
        self._stopped = stopped
        self._on_look = on_look
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="pulse", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()
        if isinstance(error, psycopg.errors.QueryCanceled) and self._stopped.is_set():
            raise NodeBusy(_STOPS) from error

    def pause(self, seconds: float) -> None:
        """Wait between two pieces of work.

        Raises:
            NodeBusy: this process is to stop.
        """
        if self._stopped.wait(seconds):
            raise NodeBusy(_STOPS)

    def options(
        self, settings: Settings, on_step: Callable[[str], None], waiting: Callable[[str], None] = lambda who: None
    ) -> UpgradeOptions:
        """How the configuration wants an upgrade to be done, with the pauses of this pulse."""
        return UpgradeOptions(
            share=settings.cluster.back_fill_percent / 100,
            refuse_nodes=settings.cluster.incompatible_nodes == "Refuse",
            pause=self.pause,
            on_step=on_step,
            waiting=waiting,
        )

    def _run(self) -> None:
        connection: psycopg.Connection[TupleRow] | None = None
        try:
            while not self._over.is_set():
                if self._stopped.is_set():
                    # Again and again: a statement that begins just now would not notice.
                    with contextlib.suppress(psycopg.Error):
                        self._session.cancel_safe(timeout=1)
                    self._over.wait(_STOP_SECONDS)
                    continue
                try:
                    connection = connection or connect(self._settings)
                    progress = read_progress(connection)
                    tell_metrics(progress)
                    self._on_look(connection, progress)
                except psycopg.Error as error:
                    _LOG.debug("the upgrade cannot be looked at: %s", error)
                    if connection is not None:
                        connection.close()
                    connection = None
                self._wait()
        finally:
            if connection is not None:
                connection.close()

    def _wait(self) -> None:
        for _ in range(int(_SECONDS / _STOP_SECONDS)):
            if self._over.wait(_STOP_SECONDS) or self._stopped.is_set():
                return


def tell_metrics(progress: Progress | None) -> None:
    """Phase and progress of an upgrade in the metrics of this process."""
    telemetry.upgrade_progress.set(progress.fraction if progress else 1.0)
    for phase in ("before", "switch", "after"):
        telemetry.upgrade_phase.labels(phase).set(progress is not None and progress.phase == phase)
