"""Wakes workers up on behalf of those who must not wait for the broker.

Nothing depends on it: a job is in PostgreSQL before anybody is woken, and a worker's sweep finds it (`worker.py`).
"""

import logging
import threading
from collections.abc import Callable

from cluster.config import Settings
from cluster.errors import BrokerUnavailable

_LOG = logging.getLogger(__name__)

_SWEEP_EXPIRES_SECONDS = 60


class Waker:
    """One thread that sends, begun when it is needed first."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._condition = threading.Condition()
        self._jobs = 0
        self._sweep = False
        self._thread: threading.Thread | None = None

    def for_job(self) -> None:
        """A job was added; returns at once."""
        with self._condition:
            self._jobs += 1
            self._begin()

    def for_import(self) -> None:
        """An import goes on; returns at once."""
        with self._condition:
            self._sweep = True
            self._begin()

    def _begin(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="waker", daemon=True)
            self._thread.start()
        self._condition.notify()

    def _run(self) -> None:
        # Only here: most processes of a node never send, and need not hold Celery.
        from workers.tasks.app import make_app
        from workers.tasks.messages import ask_for_sweep, wake_for_jobs

        app = make_app(self._settings)
        while True:
            with self._condition:
                while not self._jobs and not self._sweep:
                    self._condition.wait()
                jobs, sweep = self._jobs, self._sweep
                self._jobs, self._sweep = 0, False
            if jobs:
                _told(lambda app=app, jobs=jobs: wake_for_jobs(app, jobs))  # type: ignore[misc]
            if sweep:
                _told(lambda app=app: ask_for_sweep(app, _SWEEP_EXPIRES_SECONDS))  # type: ignore[misc]


def _told(send: Callable[[], None]) -> None:
    try:
        send()
    except BrokerUnavailable as error:
        _LOG.warning("a worker will find the job at its next sweep: %s", error)
    except Exception:
        _LOG.exception("a worker will find the job at its next sweep")
