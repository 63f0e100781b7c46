"""Named places at which a test may end the process, fail or wait.

In production nothing is armed and a passage costs one dictionary look-up. Tests arm them through the setting
``Cluster.Failpoints``, for example ``{"rows_written": "kill"}`` or ``{"bytes_durable": "kill@3"}`` (the third passage).

The failpoints of the way of one instance, in order:

``bytes_written``   the file has its bytes, nothing is durable
``bytes_durable``   the files of the batch are durable, no row exists
``rows_written``    the transaction has done everything but COMMIT
``rows_committed``  COMMIT has returned, nobody was told
``answered``        the outcome was handed to the senders' threads

Those of the way of a deletion:

``resource_deleted``   the rows are gone for good, the files are there, nobody was told
``removals_claimed``   this process has taken files upon itself, and removed none

Those of the way of a job that makes a file:

``job_claimed``         the job is this worker's, nothing is done
``job_file_added``      one more file is in the archive
``job_output_durable``  the archive is on the medium, no row names it
``job_ended``           the row names it, nobody was told
"""

import os
import signal
import threading
from collections.abc import Mapping

from cluster.errors import ConfigurationError, DatabaseUnavailable

INGEST = frozenset({"bytes_written", "bytes_durable", "rows_written", "rows_committed", "answered"})
DELETION = frozenset({"resource_deleted", "removals_claimed"})
JOBS = frozenset({"job_claimed", "job_file_added", "job_output_durable", "job_ended"})
STREAMING = frozenset({"bytes_streamed"})
MIGRATION = frozenset({"batch_migrated"})
"""Between the commits of a migration from SQLite to PostgreSQL."""

NAMES = INGEST | DELETION | JOBS | STREAMING | MIGRATION

_lock = threading.Lock()
_armed: dict[str, tuple[str, int]] = {}
_passages: dict[str, int] = {}


def arm(failpoints: Mapping[str, str]) -> None:
    """Replace what is armed.

    Actions: ``kill`` (SIGKILL to this process), ``error`` (DatabaseUnavailable); ``@N`` picks the N-th passage.

    Raises:
        ConfigurationError: unknown name or action.
    """
    _armed.clear()
    _passages.clear()
    for name, text in failpoints.items():
        action, _, passage = text.partition("@")
        if name not in NAMES or action not in {"kill", "error"} or not (passage or "1").isdecimal():
            raise ConfigurationError(f"Cluster.Failpoints.{name}", f"unknown failpoint or action {text!r}")
        _armed[name] = (action, int(passage or 1))


def failpoint(name: str) -> None:
    """Do what is armed for this place; nothing, as a rule."""
    if name not in _armed:
        return
    action, wanted = _armed[name]
    with _lock:
        _passages[name] = _passages.get(name, 0) + 1
        if _passages[name] != wanted:
            return
    if action == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    raise DatabaseUnavailable(f"failpoint {name}")
