"""What is counted, logged and traced of every task."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from cluster import telemetry, tracing
from workers.logs import bind


@dataclass
class Run:
    """One run of a task; `outcome` is the task's own word for what became of it."""

    outcome: str = "done"


NOTHING_TO_DO = "nothing_to_do"
"""The outcome of a message that came twice, or too late."""


@contextmanager
def measured(task: str, request: Any) -> Iterator[Run]:
    """Outcome and time of a run in the metrics, its id on every log line, its span in the trace of its sender.

    An exception is the outcome `failed`. Runs that found nothing to do are counted, and their time is not: there may be
    any number of them, and they would hide how long the others take.

    Args:
        request: Celery's, of the task.
    """
    run = Run()
    started = time.monotonic()
    attributes = {"messaging.system": "celery", "messaging.message.id": request.id}
    caller = request.headers or {}
    with bind(task=request.id), tracing.span(f"task {task}", attributes, kind="consumer", caller=caller) as span:
        try:
            yield run
        except BaseException:
            run.outcome = "failed"
            raise
        finally:
            span.set("orthanc_cluster.outcome", run.outcome)
            telemetry.tasks.labels(task, run.outcome).inc()
            if run.outcome != NOTHING_TO_DO:
                telemetry.task_seconds.labels(task).observe(time.monotonic() - started)
