"""What is counted of a task."""

from types import SimpleNamespace

import pytest
from prometheus_client import REGISTRY

from workers.tasks.measured import NOTHING_TO_DO, measured

REQUEST = SimpleNamespace(id="1", headers=None)


def counts(outcome):
    labels = {"task": "import_chunk"}
    timed = REGISTRY.get_sample_value("orthanc_cluster_task_seconds_count", labels) or 0
    return REGISTRY.get_sample_value("orthanc_cluster_tasks_total", labels | {"outcome": outcome}) or 0, timed


@pytest.mark.parametrize(("outcome", "timed"), [("done", 1), ("put_off", 1), (NOTHING_TO_DO, 0)])
def test_only_the_time_of_work_is_counted(outcome, timed):
    before = counts(outcome)
    with measured("import_chunk", REQUEST) as run:
        run.outcome = outcome
    assert counts(outcome) == (before[0] + 1, before[1] + timed)


def test_a_task_that_fails_took_its_time():
    before = counts("failed")
    with pytest.raises(ZeroDivisionError), measured("import_chunk", REQUEST):
        raise ZeroDivisionError
    assert counts("failed") == (before[0] + 1, before[1] + 1)
