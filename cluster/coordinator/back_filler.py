"""What an upgrade left to do after its switch, by whichever node gets to it, beside the writers."""

import logging
import threading

import psycopg
from psycopg.rows import TupleRow

from cluster import tracing
from cluster.config import Settings
from cluster.coordinator.pulse import Pulse
from cluster.database.advisory_lock import BACK_FILL_KEY, try_advisory_lock
from cluster.errors import ClusterError
from cluster.schema.online import back_fill
from cluster.schema.progress import Progress
from cluster.schema.session import direct_connection

_LOG = logging.getLogger(__name__)


class BackFiller:
    """One thread at a time, started when there is something to do and nobody else does it."""

    def __init__(self, settings: Settings, stopped: threading.Event) -> None:
        self._settings = settings
        self._stopped = stopped
        self._thread: threading.Thread | None = None

    def look(self, progress: Progress | None) -> None:
        """Begin in the background with what is left to do, if there is something."""
        is_busy = self._thread is not None and self._thread.is_alive()
        if is_busy or self._stopped.is_set() or progress is None or progress.phase != "after":
            return
        self._thread = threading.Thread(target=self._run, name="back-fill", daemon=True)
        self._thread.start()

    def join(self, seconds: float) -> None:
        """Wait for the batch under way, once `stopped` is set."""
        if self._thread is not None:
            self._thread.join(seconds)

    def _run(self) -> None:
        # A failure is tried again at the next look, by this node or another one.
        try:
            with (
                direct_connection(self._settings.postgresql) as session,
                try_advisory_lock(session, BACK_FILL_KEY) as held,
            ):
                if held:
                    self._work(session)
        except ClusterError as error:
            if not self._stopped.is_set():
                _LOG.warning("back-fill of the schema upgrade: %s", error)

    def _work(self, session: psycopg.Connection[TupleRow]) -> None:
        with (
            tracing.span("schema upgrade"),
            Pulse(self._settings.postgresql, session, self._stopped, lambda connection, progress: None) as pulse,
        ):
            options = pulse.options(self._settings, lambda name: _LOG.info("schema upgrade: %s", name))
            done = back_fill(session, self._settings.postgresql.schema_name, self._settings.cluster.node_name, options)
        if done:
            _LOG.info("schema upgrade: complete")
