"""The ledger counts what was reported, and nothing twice."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cluster.dicom.public_ids import public_ids
from workers.load.ledger import Delivery, Failure, Ledger


def delivery(
    number: int,
    *,
    latency: float | None = 0.1,
    failures: tuple[tuple[str, str], ...] = (),
    sender: int = 0,
    **more: Any,
) -> Delivery:
    return Delivery(
        sender=sender,
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
        failures=tuple(Failure(*failure, at=99.0) for failure in failures),
        **more,
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


def test_what_was_refused_in_the_middle_is_behind_a_sender_that_goes_on(ledger: Ledger) -> None:
    # Given a sender of which the second of four instances was refused, and another one that gave up at its second
    ledger.add([delivery(1), delivery(2, latency=None), delivery(3), delivery(4)])
    ledger.add([delivery(5, sender=1), delivery(6, sender=1, latency=None)])

    # Then the first goes on with its fifth, and the other tries its second again
    assert ledger.go_on() == {0: 4, 1: 1}
    assert ledger.totals()[:2] == (5, 4)


def test_what_was_deleted_is_expected_to_be_gone(ledger: Ledger) -> None:
    # Given three instances, of which one was acknowledged at its second attempt
    ledger.add([delivery(1), delivery(2), delivery(3, failures=(("a:1", "lost"),))])

    # When all that may be are chosen for deletion, and only one deletion is confirmed
    chosen = [ledger.to_delete(0, 1.0) for _ in range(3)]
    ledger.deletion(chosen[0] or "", 0.1, "")
    ledger.deletion(chosen[1] or "", 0.1, "no answer")

    # Then what was sent twice was left alone, what is uncertain is expected neither way
    assert chosen[2] is None
    assert [each.sop_instance_uid for batch in ledger.acknowledged() for each in batch] == ["1.2.3.3"]
    assert [each.public_id for batch in ledger.deleted() for each in batch] == [chosen[0]]
    assert ledger.failed_beside() == {"deletions failed: no answer": 1}
    assert ledger.is_expected("1.2")


@pytest.mark.parametrize(
    ("second", "keeps", "contents"),
    [
        (("b" * 32, True), "last", ("b" * 32, None)),
        (("b" * 32, True), "first", (f"{1:032x}", None)),
        (("b" * 32, True), "either", (f"{1:032x}", "b" * 32)),
        (("b" * 32, False), "last", (f"{1:032x}", "b" * 32)),
        (None, "last", (f"{1:032x}", None)),
    ],
)
def test_of_two_contents_the_archive_keeps_one(
    ledger: Ledger, second: tuple[str, bool] | None, keeps: Any, contents: tuple[str, str | None]
) -> None:
    ledger.add([delivery(1, second=second)])
    ((instance,),) = ledger.acknowledged(keeps=keeps)
    assert (instance.data_set_md5, instance.other_md5) == contents


def test_ledgers_of_two_machines_are_one(ledger: Ledger, tmp_path: Path) -> None:
    # Given a part of the same run on a machine whose clock began 1000 s later
    ledger.options({"seed": 1})
    ledger.add([delivery(1)])
    ledger.began(100.0)
    ledger.ended()
    with Ledger(tmp_path / "other.sqlite") as other:
        other.options({"seed": 1})
        other.add([delivery(2, failures=(("a:1", "lost"),))])
        other.began(101.5)
        other.ended()
        other._database.execute("UPDATE run SET epoch = epoch + 1000")
        other._database.commit()

    ledger.merge(tmp_path / "other.sqlite")

    # Then times are on one clock, and each second of sending counts once
    first, second = (at for at, _ in ledger.deliveries())
    assert second - first == pytest.approx(1001, abs=0.1)
    assert ledger.failed()["lost"] == [pytest.approx(1099, abs=0.1)]
    assert ledger.seconds() == pytest.approx(1 + 0.5, abs=0.1)
    with pytest.raises(sqlite3.IntegrityError):
        ledger.merge(tmp_path / "other.sqlite")
    assert ledger.totals()[0] == 2


def test_a_run_that_goes_on_after_a_restart_has_one_clock(ledger: Ledger) -> None:
    # Given a ledger whose machine has been started anew since: its monotonic clock was 500 s ahead
    ledger.options({"seed": 1})
    ledger.add([delivery(1)])
    ledger._database.execute("UPDATE run SET epoch = epoch - 500")
    ledger._database.commit()

    ledger.options({"seed": 1})

    assert ledger.last_acknowledged_at() == pytest.approx(101 - 500, abs=0.1)
