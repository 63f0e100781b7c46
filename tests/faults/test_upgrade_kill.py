"""SIGKILL of the upgrader anywhere: a successor finishes, and nothing tells that there was one."""

import random
import secrets
import time

import psycopg
import pytest

from cluster.schema.install import install_cluster
from cluster.schema.phases import online_steps
from cluster.schema.revision import observe
from tests.support.obstacles import (
    Barrier,
    needs_a_server_that_notices,
    older_transaction,
    set_up_is_locked,
    someone_waits_in,
)
from tests.support.upgrades import CHILD_COUNTS, Upgrader, assert_same, ending, finish, history, not_valid
from workers.local.children import wait_until

KILLED = -9
# Each step once, from the first revision whose upgrade has it; the others come by it in the tests further below.
STEPS = {step.name: source for source in (5, 4, 3, 1) for step in online_steps(source, 10)}


@pytest.mark.parametrize(("step", "source"), list(STEPS.items()))
def test_a_successor_begins_with_the_step_at_whose_beginning_the_upgrader_was_killed(
    archive, undisturbed, step, source
):
    connection = archive(source)
    # Given an upgrader that dies as a step begins
    with Upgrader(connection, dies_at=step) as upgrader:
        assert upgrader.ended() == KILLED
    # When another one goes on
    names = [step.name for step in online_steps(source, 10)]
    assert finish(connection) == names[names.index(step) :]
    # Then it ends as if nothing had happened
    end = ending(connection)
    assert_same(end, undisturbed(source))
    assert end.rows == undisturbed(source).rows


@pytest.mark.parametrize(("source", "batch"), [(1, 2), (3, 8), (4, 8), (5, 8)])
def test_upgraders_that_are_killed_again_and_again_between_batches_get_there_together(
    archive, undisturbed, source, batch
):
    connection = archive(source)
    # When each gets no further than its second pause, which is a batch or a step after its first
    deaths = 0
    while True:
        with Upgrader(connection, dies_in_pause=2, batch=batch) as upgrader:
            exit_status = upgrader.ended()
        if exit_status != KILLED:
            break
        deaths += 1
        assert deaths < 50
    # Then the last one comes to the end, and every row was done once
    assert exit_status == 0
    assert deaths > 8
    end = ending(connection)
    assert_same(end, undisturbed(source))
    assert end.rows == undisturbed(source).rows


def test_rows_that_were_written_before_a_kill_in_the_middle_of_a_window_are_counted(archive, undisturbed):
    connection = archive(1)
    with Upgrader(connection, dies_at=CHILD_COUNTS) as upgrader:
        assert upgrader.ended() == KILLED
    # Given an upgrader that dies after it has read a window and written its first rows
    for _ in range(10):
        with Upgrader(connection, dies_in_pause=2) as upgrader:
            assert upgrader.ended() == KILLED
        counted, done_upto = connection.execute(
            "SELECT row_count, done_upto FROM cluster.upgrade_steps WHERE name = %s", (CHILD_COUNTS,)
        ).fetchone()
        if counted:
            break
    # Then those are told, and what is done is no more than what is known
    known, first_unknown = connection.execute(
        "SELECT count(childCount), min(internalId) FILTER (WHERE childCount IS NULL)"
        " FROM public.Resources WHERE resourceType < 3"
    ).fetchone()
    assert counted == known > 0
    assert done_upto < first_unknown
    # and a successor's are added to them
    assert finish(connection) == [CHILD_COUNTS]
    end = ending(connection)
    assert_same(end, undisturbed(1))
    assert end.rows == undisturbed(1).rows


@pytest.mark.parametrize(("number", "source"), list(enumerate([1, 1, 1, 3, 4, 5])))
def test_a_successor_finishes_when_the_upgrader_was_killed_at_a_random_moment(archive, undisturbed, number, source):
    seed = secrets.randbits(32)
    randomness = random.Random(seed)
    # Given how long it takes when it lives
    connection = archive(source)
    began = time.monotonic()
    with Upgrader(connection) as upgrader:
        assert upgrader.ended() == 0
    seconds = time.monotonic() - began
    assert_same(ending(connection), undisturbed(source))
    # When it is killed somewhere on the way: if it was faster this time, once more
    for attempt in range(10):
        connection = archive(source)
        moment = randomness.uniform(0, seconds)
        with Upgrader(connection) as upgrader:
            time.sleep(moment)  # there is nothing to wait for: any moment is as good as another
            exit_status = upgrader.kill()
        print(f"seed {seed}, attempt {attempt}: after {moment:.4f} s of {seconds:.4f} s, exit status {exit_status}")
        if exit_status == KILLED:
            break
    assert exit_status == KILLED
    # Then a successor finishes
    finish(connection)
    assert_same(ending(connection), undisturbed(source))


INDEXES = [
    ("public ids unique", "uniquepublicid", True),
    ("public ids unique", "uniquepublicid", False),
    ("substring searches", "dicomidentifiersindexvalues2", False),
]


@pytest.mark.parametrize(("title", "name", "at_the_beginning"), INDEXES)
def test_an_index_that_was_left_invalid_by_a_killed_upgrader_is_built_anew(
    archive, undisturbed, title, name, at_the_beginning
):
    connection = archive(1)
    needs_a_server_that_notices(connection)
    with Upgrader(connection, dies_at=f"before: {title}") as upgrader:
        assert upgrader.ended() == KILLED
    with older_transaction(connection, writes=at_the_beginning):
        # Given an upgrader whose build waits for an older transaction
        with Upgrader(connection) as upgrader:
            assert wait_until(lambda: someone_waits_in(connection, "%CREATE%INDEX CONCURRENTLY%"), 20)
            # When it is killed, its backend does not go on alone: the older transaction is still there
            assert upgrader.kill() == KILLED
        assert not_valid(connection) == [name]
        assert not set_up_is_locked(connection)
        # and neither does the next one, which is killed while it removes what the first one left
        with Upgrader(connection) as upgrader:
            assert wait_until(lambda: someone_waits_in(connection, "DROP INDEX CONCURRENTLY%"), 20)
            assert upgrader.kill() == KILLED
        assert not_valid(connection) == [name]
    # Then a successor builds it
    assert finish(connection)[0] == f"before: {title}"
    assert_same(ending(connection), undisturbed(1))


@pytest.mark.parametrize(
    ("source", "place"),
    [
        (1, "DROP FUNCTION"),
        (1, "CREATE TRIGGER"),
        (1, "COMMIT"),
        (3, "COMMIT"),
        (4, "CREATE TRIGGER"),
        (5, "DROP FUNCTION"),
    ],
)
def test_a_switch_whose_upgrader_is_killed_while_it_has_all_locks_has_not_happened(archive, undisturbed, source, place):
    connection = archive(source)
    needs_a_server_that_notices(connection)
    install_cluster(connection, "public", "test")
    with Barrier(connection) as barrier:
        # Given a switch in its middle, for which everybody waits
        if place == "COMMIT":
            barrier.at_commit(f"switch: {source} → 10")
        else:
            barrier.in_switch(place)
        with Upgrader(connection) as upgrader:
            assert barrier.wait_for_arrival()
            connection.execute("SET lock_timeout TO '10ms'")
            with pytest.raises(psycopg.errors.LockNotAvailable):
                connection.execute("SELECT count(*) FROM public.Resources")
            connection.execute("RESET lock_timeout")
            # When it is killed
            assert upgrader.kill() == KILLED
        # Then writers go on at the old revision, before any successor came and while nothing lets the old one go on
        assert observe(connection, "public").revision == source
        assert f"switch: {source} → 10" not in history(connection)
        connection.execute("UPDATE public.GlobalIntegers SET value = value")
        barrier.lift()
    # and the next switch is the first one
    assert finish(connection)[0] == f"switch: {source} → 10"
    assert_same(ending(connection), undisturbed(source))
