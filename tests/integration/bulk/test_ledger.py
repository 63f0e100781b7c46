"""The ledger on a real database: claims, leases, fencing, and what needs a message when."""

import threading
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest

from cluster.bulk.entries import ImportFile, Refusal
from cluster.bulk.files import Chunk
from cluster.bulk.ledger import ChunkOutcome, Ledger, Pace
from cluster.database import Database
from tests.support.settings import settings_for

FILES = (ImportFile("/a"), ImportFile("/b.zip", "m", 7), ImportFile("/\udcfc"))
NOTHING = ChunkOutcome(0, 0, ())
NEVER = Pace(lease_seconds=1000, resend_seconds=1000)


@pytest.fixture
def execute(database_uri: str) -> Callable[..., Any]:
    def execute(statement: str) -> Any:
        with psycopg.connect(database_uri, autocommit=True) as connection:
            return connection.execute(statement)

    return execute


@pytest.fixture(params=["ReadCommitted", "Serializable"])
def patient(database_uri: str, request: pytest.FixtureRequest) -> Iterator[Ledger]:
    settings = settings_for(database_uri, postgresql={"TransactionMode": request.param})
    database = Database(settings.postgresql)
    database.open()
    yield Ledger(database, NEVER)
    database.close()


def new_job(ledger: Ledger, chunks: int = 1) -> uuid.UUID:
    job_id = uuid.uuid4()
    ledger.create_job(job_id, [Path("/a")])
    for number in range(chunks):
        assert ledger.add_chunk(job_id, number, Chunk(FILES))
    return job_id


def end_leases(execute: Callable[..., Any]) -> None:
    execute("UPDATE cluster.import_chunks SET lease_until = clock_timestamp() - interval '1 second'")


def test_a_job_is_read_as_it_was_written(patient: Ledger) -> None:
    job_id = uuid.uuid4()
    patient.create_job(job_id, [Path("/a"), Path("/\udcfc")])
    patient.create_job(job_id, [Path("/a"), Path("/\udcfc")])
    patient.add_chunk(job_id, 0, Chunk(FILES))

    job = patient.job(job_id)

    assert job is not None
    assert (job.paths, job.is_walked, job.next_chunk) == ((Path("/a"), Path("/\udcfc")), False, 1)
    assert tuple(patient.files(job_id)) == FILES
    patient.end_walk(job_id)
    assert patient.job(job_id) == replace(job, is_walked=True)
    assert patient.job(uuid.uuid4()) is None


def test_a_chunk_may_be_written_again_but_not_over_another(patient: Ledger) -> None:
    job_id = new_job(patient)

    assert patient.add_chunk(job_id, 0, Chunk(FILES))
    assert not patient.add_chunk(job_id, 0, Chunk(FILES[:1]))
    assert tuple(patient.files(job_id)) == FILES


def test_refusals_of_the_walk_are_done_at_once(patient: Ledger) -> None:
    job_id = new_job(patient, chunks=0)
    refusals = (Refusal(FILES[0], "failed", "why"), Refusal(FILES[1], "not_dicom", "what"))

    patient.add_chunk(job_id, 0, Chunk(refusals=refusals))

    progress = patient.progress(job_id)
    assert (progress.chunks, progress.chunks_done, progress.failed, progress.not_dicom) == (1, 1, 1, 1)
    assert tuple(patient.refusals(job_id)) == refusals
    assert patient.take_due() == []


def test_of_many_that_claim_at_once_exactly_one_gets_the_chunk(patient: Ledger) -> None:
    job_id = new_job(patient)
    start = threading.Barrier(8)
    claims: list[list[ImportFile] | None] = []

    def claim(holder: str) -> None:
        start.wait()
        claims.append(patient.claim(job_id, 0, holder))

    threads = [threading.Thread(target=claim, args=(str(number),)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [claim for claim in claims if claim is not None] == [list(FILES)]
    assert len(claims) == 8


def test_a_lease_that_ended_is_anybodys_and_its_holder_can_no_longer_speak(
    patient: Ledger, execute: Callable[..., Any]
) -> None:
    job_id = new_job(patient)
    assert patient.claim(job_id, 0, "slow") is not None
    assert patient.claim(job_id, 0, "quick") is None
    end_leases(execute)

    assert patient.claim(job_id, 0, "quick") is not None

    assert not patient.renew(job_id, 0, "slow")
    assert not patient.complete(job_id, 0, "slow", ChunkOutcome(99, 0, ()))
    assert patient.complete(job_id, 0, "quick", ChunkOutcome(1, 1, (Refusal(FILES[2], "failed", "why"),)))
    assert not patient.complete(job_id, 0, "slow", ChunkOutcome(99, 0, ()))
    progress = patient.progress(job_id)
    assert (progress.stored, progress.already_stored, progress.failed, progress.attempts) == (1, 1, 1, 2)


def test_the_holder_may_say_everything_twice(patient: Ledger) -> None:
    """As happens when the answer to a COMMIT is lost."""
    job_id = new_job(patient)
    assert patient.claim(job_id, 0, "me") == patient.claim(job_id, 0, "me") == list(FILES)
    assert patient.complete(job_id, 0, "me", ChunkOutcome(3, 0, ()))
    assert patient.complete(job_id, 0, "me", ChunkOutcome(3, 0, ()))
    assert patient.progress(job_id).files_done == 3


def test_a_chunk_that_is_done_is_never_claimed_again(patient: Ledger, execute: Callable[..., Any]) -> None:
    job_id = new_job(patient)
    patient.claim(job_id, 0, "me")
    patient.complete(job_id, 0, "me", NOTHING)
    end_leases(execute)

    assert patient.claim(job_id, 0, "other") is None
    assert patient.claim(job_id, 0, "me") is None
    assert not patient.renew(job_id, 0, "me")
    assert patient.take_due() == []


def test_a_lease_is_renewed_while_nobody_else_has_come(patient: Ledger, execute: Callable[..., Any]) -> None:
    job_id = new_job(patient)
    patient.claim(job_id, 0, "me")
    end_leases(execute)

    assert patient.renew(job_id, 0, "me")
    assert patient.claim(job_id, 0, "other") is None


def test_every_chunk_gets_one_message_and_small_jobs_do_not_wait_for_large_ones(patient: Ledger) -> None:
    patient.pace = replace(NEVER, chunks_in_flight=4)
    large = new_job(patient, chunks=10)
    small = new_job(patient, chunks=2)

    first = patient.take_due()

    assert sorted(first) == sorted([(large, 0), (large, 1), (small, 0), (small, 1)])
    assert patient.take_due() == []


def test_a_chunk_that_is_done_makes_room_for_another(patient: Ledger) -> None:
    patient.pace = replace(NEVER, chunks_in_flight=2)
    job_id = new_job(patient, chunks=4)
    assert len(patient.take_due()) == 2
    patient.claim(job_id, 0, "me")
    assert patient.take_due() == []

    patient.complete(job_id, 0, "me", NOTHING)

    assert patient.take_due() == [(job_id, 2)]


def test_a_chunk_whose_worker_is_gone_gets_one_more_message(patient: Ledger, execute: Callable[..., Any]) -> None:
    job_id = new_job(patient)
    patient.take_due()
    patient.claim(job_id, 0, "dead")
    execute("UPDATE cluster.import_chunks SET sent_at = sent_at - interval '9 seconds'")
    end_leases(execute)

    assert patient.take_due() == [(job_id, 0)]
    assert patient.take_due() == []


def test_a_chunk_that_nobody_claims_gets_messages_at_doubling_intervals(
    patient: Ledger, execute: Callable[..., Any]
) -> None:
    job_id = new_job(patient)
    patient.take_due()

    def due_after(seconds: int) -> bool:
        execute(f"UPDATE cluster.import_chunks SET sent_at = clock_timestamp() - interval '{seconds} seconds'")
        return patient.take_due() == [(job_id, 0)]

    assert [due_after(900), due_after(1100), due_after(1900), due_after(2100), due_after(3900)] == [
        False,
        True,
        False,
        True,
        False,
    ]


def test_resuming_forgets_messages_but_not_workers(patient: Ledger) -> None:
    job_id = new_job(patient, chunks=2)
    assert len(patient.take_due()) == 2
    patient.claim(job_id, 0, "alive")

    patient.forget_messages(job_id)

    assert patient.take_due() == [(job_id, 1)]


def test_senders_at_the_same_time_share_the_chunks(patient: Ledger) -> None:
    patient.pace = replace(NEVER, chunks_in_flight=1000)
    job_id = new_job(patient, chunks=60)
    start = threading.Barrier(4)
    taken: list[Any] = []

    def take() -> None:
        start.wait()
        taken.extend(patient.take_due())

    threads = [threading.Thread(target=take) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    taken += patient.take_due()

    assert sorted(taken) == [(job_id, number) for number in range(60)]


def test_a_chunk_that_no_worker_survives_is_given_up(patient: Ledger, execute: Callable[..., Any]) -> None:
    patient.pace = replace(NEVER, maximum_attempts=2)
    job_id = new_job(patient)
    for holder in ("one", "two"):
        assert patient.take_due() == [(job_id, 0)]
        assert patient.claim(job_id, 0, holder) is not None
        execute("UPDATE cluster.import_chunks SET sent_at = sent_at - interval '9 seconds'")
        end_leases(execute)

    assert patient.take_due() == []

    refusals = list(patient.refusals(job_id))
    assert [refusal.file for refusal in refusals] == list(FILES)
    assert {refusal.reason for refusal in refusals} == {"given up: 2 workers began this chunk and none finished it"}
    assert patient.progress(job_id).failed == 3
    assert not patient.complete(job_id, 0, "two", NOTHING)


def test_refusals_and_files_are_read_page_by_page(patient: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cluster.bulk.ledger._PAGE", 2)
    job_id = new_job(patient, chunks=0)
    for number in range(5):
        refusal = Refusal(ImportFile(f"/{number}"), "failed", "why")
        patient.add_chunk(job_id, number, Chunk(refusals=(refusal,)))

    assert [refusal.file.path for refusal in patient.refusals(job_id)] == ["/0", "/1", "/2", "/3", "/4"]
    assert [file.path for file in patient.files(job_id)] == ["/0", "/1", "/2", "/3", "/4"]
