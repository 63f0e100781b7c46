"""The upgrader's connection is cut in every step, before and after it was committed: it goes on by itself.

For each step the proxy does, one after the other: what the step does is sent, its answer is lost; its COMMIT is lost
on the way; its COMMIT arrives, its answer is lost. Steps in batches suffer that once more for a batch.
"""

import logging
from collections import Counter

import psycopg
import pytest

from cluster.coordinator import by_hand
from cluster.coordinator.by_hand import upgrade_by_hand
from cluster.schema.ledger import done_by, unfinished_back_fills
from cluster.schema.online import UpgradeOptions
from cluster.schema.phases import Kind, online_steps
from cluster.schema.steps import text
from cluster.schema.upgrade import upgrade_online
from tests.support.gates import RETRY_SECONDS, NodeThread, impatient_settings
from tests.support.obstacles import needs_a_server_that_notices, older_transaction, set_up_is_locked, someone_waits_in
from tests.support.upgrades import CHILD_COUNTS, assert_same, ending, finish, history, not_valid, uri_of
from workers.local.children import wait_until

COMMIT = b"COMMIT"


pytestmark = pytest.mark.usefixtures("small_batches")


def cut_in_every_step(proxy, source):
    """Tell the proxy all faults; returns step → how many they are."""
    numbers = {}
    for step in online_steps(source, 10):
        before, name = proxy.faults_left, step.name.encode()
        begins, advances, ends = (b"SET begun_at", name), (b"SET done_upto", name), (b"cluster.schema_history", name)
        work = {
            Kind.INDEX: b"INDEX CONCURRENTLY",
            Kind.STATEMENT: text(step.file).encode() if step.file else b"",
            Kind.BATCHES: b"SET done_upto",
            Kind.SWITCH: b"DO $guard$",
        }
        proxy.swallow_answer_after(work[step.kind], once_sent=begins)
        if step.kind is Kind.BATCHES:
            proxy.lose(COMMIT, once_sent=advances)
            proxy.swallow_answer_after(COMMIT, once_sent=advances)
        proxy.lose(COMMIT, once_sent=ends)
        proxy.swallow_answer_after(COMMIT, once_sent=ends)
        numbers[step.name] = proxy.faults_left - before
    return numbers


def assert_each_fault_was_survived(connection, source, begun, faults, undisturbed):
    # A fault ends the attempt in which it happens. After the last one the step was done, though nobody had heard so:
    # it was not begun again. Of child counts, which two sessions write, an attempt may meet one fault for each.
    assert begun.keys() == faults.keys()
    assert {step for step in faults if begun[step] != faults[step]} <= {CHILD_COUNTS}
    assert faults[CHILD_COUNTS] / 2 <= begun[CHILD_COUNTS] <= faults[CHILD_COUNTS]
    assert_same(ending(connection), undisturbed(source))


@pytest.mark.parametrize("source", [1, 3, 5])
def test_a_node_whose_connection_is_cut_in_every_step_does_each_of_them_once(
    archive, undisturbed, through_proxy, caplog, source
):
    # Given a network that fails in every step, several times
    connection = archive(source)
    proxy = through_proxy(connection)
    faults = cut_in_every_step(proxy, source)
    # When a node starts, and nobody does anything about it
    with caplog.at_level(logging.INFO, "cluster"), NodeThread(proxy.uri) as node:
        assert wait_until(lambda: node.is_ready is not None, 60)
        assert node.is_ready
        assert wait_until(lambda: not unfinished_back_fills(connection), 60)
        assert proxy.faults_left == 0
        assert wait_until(lambda: node.gate.is_ready, 10)
    begun = Counter(
        record.args[0] for record in caplog.records if record.msg == "schema upgrade: %s" and record.args[0] in faults
    )
    assert_each_fault_was_survived(connection, source, begun, faults, undisturbed)


@pytest.mark.parametrize("source", [4])
def test_an_upgrade_by_hand_whose_connection_is_cut_in_every_step_does_each_of_them_once(
    archive, undisturbed, through_proxy, monkeypatch, source
):
    monkeypatch.setattr(by_hand, "_POLL_SECONDS", RETRY_SECONDS)
    connection = archive(source)
    proxy = through_proxy(connection)
    faults = cut_in_every_step(proxy, source)
    begun, waited = Counter(), []
    done = upgrade_by_hand(
        impatient_settings(proxy.uri),
        10,
        on_step=lambda step: begun.update([step]),
        on_progress=lambda progress: None,
        on_wait=waited.append,
    )
    assert proxy.faults_left == 0
    assert len(waited) >= sum(begun.values())
    assert_each_fault_was_survived(connection, source, begun, faults, undisturbed)
    # Whichever attempt did a step, and whether or not it heard so, it is told in the end.
    assert done == [step.name for step in online_steps(source, 10)]


def test_an_upgrade_by_hand_does_not_boast_of_what_another_one_has_finished(archive, monkeypatch):
    monkeypatch.setattr(by_hand, "_POLL_SECONDS", RETRY_SECONDS)
    connection = archive(5)
    steps = [step.name for step in online_steps(5, 10)]

    def another_one_comes(step):
        if step == steps[2] and not done_by(connection, "successor", steps):
            connection.execute(
                "SELECT pg_terminate_backend(l.pid) FROM pg_locks l JOIN pg_database d ON d.oid = l.database"
                " WHERE d.datname = current_database() AND l.locktype = 'advisory'"
            )
            assert wait_until(lambda: not set_up_is_locked(connection), 10)
            finish(connection)

    done = upgrade_by_hand(
        impatient_settings(uri_of(connection)),
        10,
        on_step=another_one_comes,
        on_progress=lambda progress: None,
        on_wait=lambda reason: None,
    )
    assert done == steps[:2]


EFFECTS = {
    "before: foreign key for new rows": (
        "EXISTS (SELECT FROM pg_constraint WHERE conname = 'resources_parentid_fkey_next')"
    ),
    "before: foreign key of all rows": (
        "(SELECT convalidated FROM pg_constraint WHERE conname = 'resources_parentid_fkey_next')"
    ),
    "before: patients": "to_regclass('cluster.patients_before') IS NOT NULL",
    "before: statistics folded": "NOT EXISTS (SELECT FROM public.GlobalIntegersChanges)",
    "switch: 5 → 10": "(SELECT value = '10' FROM public.GlobalProperties WHERE property = 4)",
    "after: recycling order": "to_regclass('cluster.recycling_order') IS NULL",
}


@pytest.mark.parametrize("step", EFFECTS)
def test_what_a_step_did_and_the_word_that_it_is_done_come_together_or_not_at_all(
    archive, undisturbed, through_proxy, step
):
    connection = archive(5)
    proxy = through_proxy(connection)
    # What is folded is folded by one batch, before the end of the step.
    is_batch = step == "before: statistics folded"
    word = (b"SET done_upto" if is_batch else b"cluster.schema_history", step.encode())

    def seen():
        told = ["row_count > 0" if is_batch else "done_at IS NOT NULL"]
        if step.startswith("switch: "):
            told.append("held_milliseconds IS NOT NULL")
        query = f"SELECT {EFFECTS[step]}, {', '.join(told)} FROM cluster.upgrade_steps WHERE name = %s"
        return set(connection.execute(query, (step,)).fetchone())

    def upgrade_until_it_is_cut_off():
        with pytest.raises(psycopg.OperationalError), psycopg.connect(proxy.uri, autocommit=True) as session:
            upgrade_online(session, "public", "test", 10, UpgradeOptions())
        assert proxy.faults_left == 0
        assert wait_until(lambda: others(connection) == 0, 10)

    # When the step's COMMIT does not arrive, nothing has happened
    proxy.lose(COMMIT, once_sent=word)
    upgrade_until_it_is_cut_off()
    assert seen() == {False}
    # and when its answer does not, everything
    proxy.swallow_answer_after(COMMIT, once_sent=word)
    upgrade_until_it_is_cut_off()
    assert seen() == {True}
    finish(connection)
    assert_same(ending(connection), undisturbed(5))


def others(connection: psycopg.Connection) -> int:
    query = (
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()"
    )
    return connection.execute(query).fetchone()[0]


def test_a_build_goes_on_by_itself_after_the_connection_was_cut_while_it_waited(archive, undisturbed, through_proxy):
    connection = archive(1)
    needs_a_server_that_notices(connection)
    proxy = through_proxy(connection)
    with NodeThread(proxy.uri) as node:
        with older_transaction(connection) as end_it:
            assert wait_until(lambda: someone_waits_in(connection, "%CREATE UNIQUE INDEX CONCURRENTLY%"), 20)
            # When all connections are cut while the build waits, nobody ends the backend but PostgreSQL itself
            [before] = builders(connection)
            proxy.cut()
            assert wait_until(lambda: builders(connection) not in ([], [before]), 20)
            # Then the node is back at it, with the lock, and began by taking away what was left
            assert set_up_is_locked(connection)
            assert not_valid(connection) == ["uniquepublicid"]
            end_it()
        assert wait_until(lambda: node.is_ready is not None, 20)
        assert wait_until(lambda: not unfinished_back_fills(connection), 20)
    assert_same(ending(connection), undisturbed(1))


def builders(connection: psycopg.Connection) -> list[int]:
    rows = connection.execute(
        "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND state = 'active'"
        " AND query LIKE '%INDEX CONCURRENTLY%' AND pid <> pg_backend_pid() AND wait_event_type = 'Lock'"
    )
    return [pid for (pid,) in rows]


def test_a_node_that_was_cut_off_comes_back_to_what_another_one_has_finished(archive, undisturbed, through_proxy):
    connection = archive(1)
    needs_a_server_that_notices(connection)
    proxy = through_proxy(connection)
    with NodeThread(proxy.uri, "a") as a:
        with older_transaction(connection):
            assert wait_until(lambda: someone_waits_in(connection, "%CREATE UNIQUE INDEX CONCURRENTLY%"), 20)
            # Given an outage for the upgrader alone, whose backend ends although its build cannot go on
            proxy.refuse()
            proxy.cut()
            assert wait_until(lambda: not set_up_is_locked(connection), 20)
            assert history(connection) == undisturbed(1).history[:1]
        # When another node comes
        with NodeThread(uri_of(connection), "b") as b:
            assert wait_until(lambda: b.is_ready is not None, 20)
            assert wait_until(lambda: not unfinished_back_fills(connection), 20)
        # Then the first one, who has waited meanwhile, is ready as soon as it is back, and does nothing
        assert a.is_ready is None
        assert "connection" in a.gate.reason
        proxy.refuse(False)
        assert wait_until(lambda: a.gate.is_ready, 20)
    nodes = "SELECT DISTINCT node FROM cluster.schema_history WHERE step NOT LIKE 'install %'"
    assert connection.execute(nodes).fetchall() == [("b",)]
    assert_same(ending(connection), undisturbed(1))
