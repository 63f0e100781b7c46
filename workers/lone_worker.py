"""The jobs of a node that is alone with its index in SQLite: one thread of the node does them, one after the other.

What is acknowledged is in the index, as with workers: a node that is killed begins the job anew at its next start, one
that drains gives it back.
"""

import logging
import threading

from cluster.config import Settings
from cluster.errors import ClusterError
from cluster.ingest.intake import Intake
from cluster.jobs.work import JobPace
from workers.tasks.jobs import JobWorker

_LOG = logging.getLogger(__name__)


class LoneWorker:
    """One thread of a process; a context manager. Before and after, new jobs wait."""

    def __init__(self, settings: Settings, intake: Intake, pace: JobPace | None = None) -> None:
        self._pace = pace or JobPace()
        self._stopping = threading.Event()
        self._wake = threading.Event()
        self._jobs = JobWorker(settings, lambda: intake, self._pace, self._stopping.is_set)
        self._thread = threading.Thread(target=self._run, name="jobs", daemon=True)

    def for_job(self) -> None:
        """A job was added; returns at once."""
        self._wake.set()

    def for_import(self) -> None:
        """There are no imports here."""

    def __enter__(self) -> "LoneWorker":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._wake.set()
        # The next piece of a file is the last one; a medium that hangs is left behind.
        self._thread.join(5)

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._wake.clear()
            try:
                while not self._stopping.is_set() and self._jobs.work():
                    self._jobs.tidy()
            except ClusterError as error:
                _LOG.warning("jobs will be looked for later: %s", error)
            except Exception:
                _LOG.exception("jobs will be looked for later")
            # Also without being woken: what failed for a reason that time may cure.
            self._wake.wait(self._pace.retry_seconds)
