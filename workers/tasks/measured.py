"""What is counted and logged of every task."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from cluster import telemetry
from workers.logs import bind


@dataclass
class Run:
    """One run of a task; `outcome` is the task's own word for what became of it."""

    outcome: str = "done"


@contextmanager
def measured(task: str, task_id: str) -> Iterator[Run]:
    """Time and outcome of a run in the metrics, its id on every log line; an exception is the outcome `failed`."""
    run = Run()
    started = time.monotonic()
    with bind(task=task_id):
        try:
            yield run
        except BaseException:
            run.outcome = "failed"
            raise
        finally:
            telemetry.tasks.labels(task, run.outcome).inc()
            telemetry.task_seconds.labels(task).observe(time.monotonic() - started)
