"""Never two upgraders at once: who is cut off keeps the lock while its backend works, and changes nothing later."""

import threading
from contextlib import suppress

import psycopg
import pytest

from cluster.coordinator import gate
from cluster.errors import LockNotAvailable
from cluster.schema import batches
from cluster.schema.install import install_cluster
from cluster.schema.ledger import Ledger, steps
from cluster.schema.online import UpgradeOptions, back_fill, prepare_and_switch
from cluster.schema.phases import Kind, Phase, online_steps
from cluster.schema.upgrade import upgrade_online
from tests.support.gates import NodeThread
from tests.support.obstacles import older_transaction, set_up_is_locked, someone_waits_in
from tests.support.upgrades import PUBLIC, assert_same, ending, finish, history, not_valid, session, uri_of
from workers.local.children import wait_until

pytestmark = pytest.mark.usefixtures("small_batches")

TAKEN_OVER = "another node has taken over the upgrade"
INDEX = "before: public ids unique"
OID = "SELECT to_regclass('public.uniquepublicid')::oid"


def planned(source):
    return [(step, 1.0) for step in online_steps(source, 10)]


@pytest.fixture
def two(archive):
    """Two upgraders of an archive of revision 1 who know nothing of each other, and a connection that looks on."""
    connection = archive(1)
    install_cluster(connection, "public", "test")
    with session(connection) as first, session(connection) as second:
        yield (first, Ledger(first, "first")), (second, Ledger(second, "second")), connection


def test_whoever_was_taken_over_cannot_change_anything(two):
    (first, ours), (second, theirs), _ = two
    # Given an upgrader at work
    ours.take_over(1, 10, planned(1))
    with ours.transaction():
        first.execute("CREATE TABLE public.before_the_successor ()")
    ours.begin(INDEX)
    # When another one has taken over
    theirs.take_over(1, 10, planned(1))
    # Then the first one fails before it has done anything, whatever it is that it wants
    with pytest.raises(LockNotAvailable, match=TAKEN_OVER), ours.transaction():
        first.execute("CREATE TABLE public.after_the_successor ()")
    with pytest.raises(LockNotAvailable, match=TAKEN_OVER):
        ours.begin(INDEX, 7)
    with pytest.raises(LockNotAvailable, match=TAKEN_OVER):
        ours.fence()
    # also on another one of its connections
    with (
        session(first) as third,
        pytest.raises(LockNotAvailable, match=TAKEN_OVER),
        ours.transaction(third),
    ):
        third.execute("CREATE TABLE public.after_the_successor ()")
    tables = "SELECT relname FROM pg_class WHERE relname LIKE '%_the_successor'"
    assert second.execute(tables).fetchall() == [("before_the_successor",)]
    assert second.execute("SELECT last_key FROM cluster.upgrade_steps WHERE name = %s", (INDEX,)).fetchone() == (None,)
    # and the second one goes on
    with theirs.transaction():
        theirs.end(second, INDEX)
    assert history(second)[-1] == INDEX


@pytest.mark.parametrize("commits", [True, False])
def test_a_successor_waits_for_the_step_under_way_and_finds_all_of_it_or_nothing(two, commits):
    (first, ours), (second, theirs), onlooker = two
    ours.take_over(1, 10, planned(1))
    found = []

    def take_over():
        theirs.take_over(1, 10, planned(1))
        found.append((bool(second.execute("SELECT to_regclass('public.of_the_step')").fetchone()[0]), done(second)))

    # Given a step that is done but not committed
    successor = threading.Thread(target=take_over)
    with suppress(ZeroDivisionError), ours.transaction():
        first.execute("CREATE TABLE public.of_the_step ()")
        ours.end(first, INDEX)
        # When another one takes over, it waits
        successor.start()
        assert wait_until(lambda: someone_waits_in(onlooker, "%INTO cluster.upgrade %"), 10)
        assert not found
        if not commits:
            raise ZeroDivisionError
    successor.join(10)
    # Then it has seen what became of the step
    assert found == [(True, [INDEX]) if commits else (False, [])]
    with pytest.raises(LockNotAvailable, match=TAKEN_OVER):
        ours.fence()


def done(connection):
    return [entry.name for entry in steps(connection) if entry.done]


class Sleeper:
    """An upgrader of `connection` who falls asleep as a step begins or after a batch, and sleeps while a successor
    does everything; `moments` is how often it might have."""

    def __init__(self, connection, source, moment=None):
        self._way = connection, "public", "sleeper", source, 10
        self._moment = moment
        self.moments = 0
        self._in_batches = False

    def run(self):
        prepare_and_switch(*self._way, UpgradeOptions(on_step=self._step_begins, pause=self._pause))

    def _step_begins(self, name):
        [step] = [step for step in online_steps(*self._way[3:]) if step.name == name]
        self._in_batches = step.kind is Kind.BATCHES
        self._perhaps_sleep()

    def _pause(self, seconds):
        if self._in_batches:
            self._perhaps_sleep()

    def _perhaps_sleep(self):
        if self.moments == self._moment:
            with session(self._way[0]) as other:
                finish(other)
        self.moments += 1


@pytest.mark.parametrize("source", [1, 3])
def test_an_upgrader_that_wakes_up_at_any_moment_after_its_successor_is_refused(
    archive, undisturbed, monkeypatch, source
):
    monkeypatch.setattr(batches, "_LARGEST_SIZE", 40)
    monkeypatch.setattr(batches, "_FIRST_SIZE", 40)
    # Given all moments at which it may sleep
    awake = Sleeper(archive(source), source)
    awake.run()
    assert awake.moments >= len([step for step in online_steps(source, 10) if step.phase is not Phase.AFTER])
    for moment in range(awake.moments):
        connection = archive(source)
        # When its successor does everything meanwhile, then it is refused as soon as it wakes up
        sleeper = Sleeper(connection, source, moment)
        with pytest.raises(LockNotAvailable, match=TAKEN_OVER):
            sleeper.run()
        # It may still have said which step is next, before it looked.
        assert sleeper.moments <= moment + 2
        assert_same(ending(connection), undisturbed(source))


def test_a_back_fill_that_wakes_up_after_another_one_took_over_is_refused(archive, undisturbed):
    connection = archive(1)
    prepare_and_switch(connection, "public", "first", 1, 10, UpgradeOptions())
    with session(connection) as other:
        pauses = iter(range(1000))

        def successor_comes(*_):
            if next(pauses) == 4:
                back_fill(other, "public", "second", UpgradeOptions())

        with pytest.raises(LockNotAvailable, match=TAKEN_OVER):
            back_fill(connection, "public", "first", UpgradeOptions(pause=successor_comes))
    assert_same(ending(connection), undisturbed(1))


def test_an_upgrader_that_nobody_can_reach_keeps_the_lock_while_its_backend_works(
    archive, undisturbed, through_proxy, monkeypatch
):
    monkeypatch.setattr(gate, "_POLL_UPGRADE_SECONDS", 0.05)
    connection = archive(1)
    proxy = through_proxy(connection)
    with older_transaction(connection) as end_it, NodeThread(proxy.uri, "a") as a:
        assert wait_until(lambda: someone_waits_in(connection, "%CREATE UNIQUE INDEX CONCURRENTLY%"), 20)
        index = connection.execute(OID).fetchone()
        # Given a network that has forgotten the upgrader's connections, which the server does not know
        proxy.sever()
        with NodeThread(uri_of(connection), "b") as b:
            # Then the upgrader itself, which is back, and another node wait for the backend, and say so
            for node in (a, b):
                assert wait_until(
                    lambda node=node: (node.gate.reason or "").startswith("waiting for upgrade 1→10, step 1 of"), 10
                )
                assert node.gate.reason.endswith("by node a")
            assert epoch(connection) == 1
            assert not_valid(connection) == ["uniquepublicid"]
            # and also when the build is done, as its backend holds the lock for as long as it is there
            end_it()
            assert wait_until(lambda: not_valid(connection) == [], 20)
            assert set_up_is_locked(connection)
            assert epoch(connection) == 1
            assert history(connection) == undisturbed(1).history[:1]
            # When the server finds out
            proxy.cut()
            assert wait_until(lambda: a.is_ready and b.is_ready, 20)
            assert wait_until(lambda: not steps_left(connection), 20)
    # Then what the lost one had built is used and not built again
    assert connection.execute(OID).fetchone() == index
    assert_same(ending(connection), undisturbed(1))


def epoch(connection: psycopg.Connection) -> int:
    return connection.execute("SELECT epoch FROM cluster.upgrade").fetchone()[0]


def steps_left(connection: psycopg.Connection) -> list[str]:
    return [entry.name for entry in steps(connection) if not entry.done]


def test_who_has_not_got_the_lock_changes_nothing(archive):
    connection = archive(4)
    connection.execute(PUBLIC)
    before = connection.execute("SELECT count(*) FROM pg_class").fetchone()
    with session(connection) as other:
        other.execute("SELECT pg_advisory_lock(44)")
        with pytest.raises(LockNotAvailable, match="another node holds the set-up lock"):
            upgrade_online(connection, "public", "test", 10, UpgradeOptions())
    assert connection.execute("SELECT count(*) FROM pg_class").fetchone() == before
