"""The ledger counts what was reported, and nothing twice."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster.dicom.public_ids import public_ids
from workers.load.ledger import Delivery, Ledger


def delivery(number: int, *, latency: float | None = 0.1, failures: tuple[tuple[str, str], ...] = ()) -> Delivery:
    return Delivery(
        sender=0,
        patient_id="P",
        study_instance_uid="1.2",
        series_instance_uid="1.2.3",
        sop_instance_uid=f"1.2.3.{number}",
        data_set_md5=f"{number:032x}",
        size=1000,
        target="a:1" if number % 2 else "b:2",
        status=0 if latency is not None else None,
        acknowledged_at=None if latency is None else 100.0 + number,
        latency_seconds=latency,
        failures=failures,
    )


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        yield ledger


def test_sent_and_acknowledged_are_different_things(ledger: Ledger) -> None:
    # Given an instance stored at once, one at the third attempt, and one never
    ledger.add([delivery(1), delivery(2, failures=(("a:1", "lost"), ("b:2", "busy")))])
    ledger.add([delivery(3, latency=None, failures=(("a:1", "lost"),))])

    # Then they are counted as such
    assert ledger.totals() == (3, 2, 5, 2000)
    assert ledger.failures() == {"lost": 2, "busy": 1}
    assert ledger.per_target() == {"a:1": 1, "b:2": 1}
    assert ledger.last_acknowledged_at() == 102.0


def test_only_what_was_acknowledged_is_to_be_checked(ledger: Ledger) -> None:
    ledger.add([delivery(1), delivery(2, latency=None), delivery(3)])

    batches = list(ledger.acknowledged(batch=1))

    assert [[instance.sop_instance_uid for instance in batch] for batch in batches] == [["1.2.3.1"], ["1.2.3.3"]]
    assert batches[0][0].public_id == public_ids("P", "1.2", "1.2.3", "1.2.3.1").instance
    assert batches[0][0].data_set_md5 == f"{1:032x}"


def test_an_instance_is_reported_once(ledger: Ledger) -> None:
    # Given an instance in the ledger
    ledger.add([delivery(1)])

    # Then a second report of it is an error of the load generator, and leaves the ledger as it was
    with pytest.raises(sqlite3.IntegrityError):
        ledger.add([delivery(2), delivery(1)])
    assert ledger.totals()[0] == 1


def test_percentiles_are_nearest_rank(ledger: Ledger) -> None:
    # Given latencies of 1 to 200 ms
    ledger.add([delivery(number, latency=number / 1000) for number in range(1, 201)])
    ledger.add([delivery(999, latency=None)])

    assert ledger.latency_seconds(50) == 0.1
    assert ledger.latency_seconds(95) == 0.19
    assert ledger.latency_seconds(99) == 0.198


def test_nothing_acknowledged_has_no_latency(ledger: Ledger) -> None:
    assert ledger.latency_seconds(50) is None
    assert ledger.last_acknowledged_at() is None
