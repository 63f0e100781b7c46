"""A worker whose every chunk is delivered twice: the broker gives a message again after 2 s, and each takes longer.

Some of the two runs meet, others follow each other; leases are short, so that a worker that was stopped has lost its
own when it goes on. Run as a program; see workers/prove/stage.py.
"""

import logging
import sys
import tempfile
import time
from pathlib import Path
from random import Random
from typing import Any

from celery import Celery, signals

from cluster.bulk.ledger import Pace
from cluster.config import load_settings, share_metrics_between_processes

PACE = Pace(lease_seconds=4.0, resend_seconds=3.0, sweep_seconds=2.0, maximum_attempts=100)
RUN = "a run begins of message"
"""What a line of the log says before the id of the message."""

_LOG = logging.getLogger("workers.prove.hasty_worker")
_PROCESSES = 4
_VISIBILITY_SECONDS = 2
_HOLD_SECONDS = 2.8
_IMPORT_CHUNK = "orthanc_cluster.import_chunk"


def hasten(app: Celery) -> None:
    """Have messages delivered again while they are worked on."""
    options = {
        "visibility_timeout": _VISIBILITY_SECONDS,
        "unacked_restore_interval": 0.3,
        "unacked_restore_throttle": 1,
    }
    app.conf.broker_transport_options = app.conf.broker_transport_options | options
    signals.task_prerun.connect(_before, weak=False)
    signals.task_postrun.connect(_after, weak=False)


def _before(task_id: str, task: Any, **_: Any) -> None:
    if task.name == _IMPORT_CHUNK:
        _LOG.info("%s %s", RUN, task_id)
        _hold(task, task_id, before=True)


def _after(task_id: str, task: Any, **_: Any) -> None:
    if task.name == _IMPORT_CHUNK:
        _hold(task, task_id, before=False)


def _hold(task: Any, task_id: str, *, before: bool) -> None:
    """The first run holds its message for long enough, partly before and partly after its work."""
    if not (task.request.delivery_info or {}).get("redelivered"):
        share = Random(task_id).random()  # noqa: S311
        time.sleep(_HOLD_SECONDS * (share if before else 1 - share))


def main() -> None:
    """As ``orthanc-cluster worker --config FILE``."""
    from workers.logs import set_up_logging

    settings = load_settings([Path(sys.argv[-1])])
    set_up_logging(settings, verbose=False)
    with tempfile.TemporaryDirectory(prefix="orthanc-cluster-metrics-") as folder:
        share_metrics_between_processes(folder)
        from workers.worker import serve  # only now: this imports prometheus_client

        sys.exit(serve(settings, _PROCESSES, pace=PACE, prepare=hasten))


if __name__ == "__main__":
    main()
