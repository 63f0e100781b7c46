"""Who is admitted, and what the others are told."""

import threading

from cluster import telemetry
from workers.storescp.admission import Admission
from workers.upper_layer import pdu


def label(admission: Admission) -> str | None:
    refusal = admission.enter()
    assert refusal is None or refusal.rejection == pdu.LOCAL_LIMIT_EXCEEDED
    return refusal.label if refusal else None


def test_reasons_of_refusal() -> None:
    ready = threading.Event()
    admission = Admission(2, ready.is_set)
    open_before = telemetry.associations._value.get()

    assert label(admission) == "not_ready"
    ready.set()
    assert [label(admission) for _ in range(3)] == [None, None, "maximum_associations"]
    assert admission.associations == 2
    assert telemetry.associations._value.get() == open_before + 2

    admission.leave()
    assert label(admission) is None
    admission.close()
    admission.leave()
    assert label(admission) == "draining"
    admission.leave()
    assert (admission.associations, telemetry.associations._value.get()) == (0, open_before)


def test_the_maximum_holds_under_contention() -> None:
    admission = Admission(10, lambda: True)
    admitted: list[bool] = []
    threads = [threading.Thread(target=lambda: admitted.append(admission.enter() is None)) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sum(admitted) == admission.associations == 10
