"""Many workers, many nodes, few jobs: the database counts how many work on a job at a time."""

import random
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from itertools import pairwise

import psycopg
import pytest

from tests.integration.http.conftest import Door, OpenDoor, open_door  # noqa: F401 - the fixture
from tests.support.dicom import make_file
from tests.support.jobs import JOBS_HURRY, job_worker, submitted, unzipped

WORKERS, JOBS = 6, 15

# Every beginning and end of an attempt, in the order in which the row was written: its lock is held until commit.
AUDIT = """
CREATE TABLE cluster.audit (pk bigint GENERATED ALWAYS AS IDENTITY, job_id uuid, state text, attempt integer);
CREATE FUNCTION cluster.note_attempt() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF new.state <> old.state OR new.attempt <> old.attempt THEN
        INSERT INTO cluster.audit (job_id, state, attempt) VALUES (new.job_id, new.state, new.attempt);
    END IF;
    RETURN new;
END $$;
CREATE TRIGGER note_attempt AFTER UPDATE ON cluster.jobs FOR EACH ROW EXECUTE FUNCTION cluster.note_attempt();
"""


@pytest.fixture
def connection(database_uri: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(database_uri, autocommit=True) as connection:
        connection.execute(AUDIT)
        yield connection


@pytest.fixture(params=["ReadCommitted", "Serializable"])
def nodes(open_door: OpenDoor, database_uri: str, request: pytest.FixtureRequest) -> list[Door]:  # noqa: F811
    postgresql = {"EnableIndex": True, "ConnectionUri": database_uri, "TransactionMode": request.param}
    return [open_door(JobsHistorySize=100, MediaArchiveSize=100, PostgreSQL=postgresql) for _ in "ab"]


def attempts(connection: psycopg.Connection) -> dict[str, list[tuple[str, int]]]:
    """By job, what happened to it in order."""
    found: dict[str, list[tuple[str, int]]] = {}
    for job_id, state, attempt in connection.execute("SELECT job_id, state, attempt FROM cluster.audit ORDER BY pk"):
        found.setdefault(str(job_id), []).append((state, attempt))
    return found


def test_each_job_is_done_by_one_worker(nodes: list[Door], connection: psycopg.Connection) -> None:
    stored = [nodes[0].post(make_file(InstanceNumber=number)).json() for number in range(4)]
    study = f"/studies/{stored[0]['ParentStudy']}"
    ids = [submitted(nodes[number % 2].client, f"{study}/archive") for number in range(JOBS)]

    with ExitStack() as stack, ThreadPoolExecutor(WORKERS) as threads:
        workers = [stack.enter_context(job_worker(nodes[0].settings)) for _ in range(WORKERS)]
        together = threading.Barrier(WORKERS)

        def work(number: int) -> int:
            together.wait()
            done = 0
            while workers[number].work():
                done += 1
            return done

        done = list(threads.map(work, range(WORKERS)))

    assert sum(done) == JOBS
    assert attempts(connection) == {job_id: [("Running", 1), ("Success", 1)] for job_id in ids}
    for number, job_id in enumerate(ids):
        other = nodes[(number + 1) % 2]
        assert len(unzipped(other.client.get(f"/jobs/{job_id}/archive").content)) == 4
    assert nodes[0].client.get("/jobs").json() == nodes[1].client.get("/jobs").json() == ids


def test_everybody_presses_every_button(nodes: list[Door], connection: psycopg.Connection) -> None:
    """Whatever order they come in: attempts of a job never overlap, and the job ends when it is left alone."""
    stored = nodes[0].post(make_file()).json()
    ids = [submitted(nodes[0].client, f"/series/{stored['ParentSeries']}/archive") for _ in range(3)]
    pressed = threading.Event()
    pace = replace(JOBS_HURRY, keep_seconds=0.0, lease_seconds=30)
    with ExitStack() as stack, ThreadPoolExecutor(5) as threads:
        workers = [stack.enter_context(job_worker(nodes[0].settings, pace)) for _ in range(3)]

        def work(number: int) -> None:
            while workers[number].work() or not pressed.wait(0.005):
                pass

        def press(number: int) -> Counter[int]:
            choice = random.Random(number)
            statuses: Counter[int] = Counter()
            for _ in range(60):
                action = choice.choice(["pause", "resume", "cancel", "resubmit", "resume", "resubmit"])
                path = f"/jobs/{choice.choice(ids)}/{action}"
                statuses[nodes[number].client.post(path).status_code] += 1
            return statuses

        working = [threads.submit(work, number) for number in range(3)]
        statuses = sum(threads.map(press, range(2)), Counter())
        pressed.set()
        for one in working:
            one.result()
        assert set(statuses) == {200, 404}
        for job_id in ids:
            nodes[1].client.post(f"/jobs/{job_id}/cancel")
            nodes[1].client.post(f"/jobs/{job_id}/resubmit")
        while workers[0].work():
            pass

    for job_id, events in attempts(connection).items():
        running = 0
        for state, attempt in events:
            if state == "Running":
                assert attempt == running + 1, (job_id, events)
                running = attempt
        assert ("Running", "Running") not in pairwise(state for state, _ in events)
    assert {nodes[1].client.get(f"/jobs/{job_id}").json()["State"] for job_id in ids} <= {"Success"}
