"""Who is admitted, and what the others are told."""

import threading

from cluster import telemetry
from workers.storescp.admission import Admission
from workers.upper_layer import pdu


def label(admission: Admission) -> str | None:
    refusal = admission.enter("192.0.2.1")
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

    admission.leave("192.0.2.1")
    assert label(admission) is None
    admission.close()
    admission.leave("192.0.2.1")
    assert label(admission) == "draining"
    admission.leave("192.0.2.1")
    assert (admission.associations, telemetry.associations._value.get()) == (0, open_before)


def test_the_maximum_holds_under_contention() -> None:
    admission = Admission(10, lambda: True)
    admitted: list[bool] = []
    threads = [
        threading.Thread(target=lambda: admitted.append(admission.enter("192.0.2.1") is None)) for _ in range(50)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sum(admitted) == admission.associations == 10


def test_one_peer_has_its_own_maximum() -> None:
    admission = Admission(10, lambda: True, maximum_per_peer=1)

    assert admission.enter("192.0.2.1") is None
    refusal = admission.enter("192.0.2.1")
    assert refusal is not None
    assert refusal.label == "maximum_associations_per_peer"
    assert admission.enter("192.0.2.2") is None
    admission.leave("192.0.2.1")
    assert admission.enter("192.0.2.1") is None
