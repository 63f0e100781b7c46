"""An index that is built ahead of its turn on a second session, and what may become of that session."""

import time

import pytest

from cluster.errors import LockNotAvailable
from cluster.schema import build_ahead
from cluster.schema.abandon import abandon
from cluster.schema.build_ahead import BuildAhead
from cluster.schema.downgrade import downgrade
from cluster.schema.install import install_cluster
from cluster.schema.ledger import Ledger, unfinished_back_fills
from cluster.schema.online import UpgradeOptions
from cluster.schema.phases import Kind, online_steps
from cluster.schema.revision import observe
from cluster.schema.upgrade import upgrade_offline
from tests.support.gates import NodeThread
from tests.support.obstacles import needs_a_server_that_notices, older_transaction, set_up_is_locked
from tests.support.upgrades import Upgrader, assert_same, ending, finish, not_valid, session, uri_of
from workers.local.children import wait_until

BUILDER_KEY = 4_411
BOTH = {"uniquepublicid", "uniquepatientid"}
"""What is being built when both sessions have come to their first index."""
SECONDS = 2


@pytest.fixture
def builds_ahead(monkeypatch):
    """Small indexes too, where the upgrader is this process."""
    monkeypatch.setattr(build_ahead, "_WORTH_ROWS", 0)


def builders(connection):
    """Index → backend, of the builds that wait for somebody."""
    rows = connection.execute(
        "SELECT index_relid::regclass::text, p.pid FROM pg_stat_progress_create_index p"
        " JOIN pg_stat_activity a USING (pid) WHERE p.datname = current_database() AND wait_event_type = 'Lock'"
    )
    return dict(rows.fetchall())


def both_build(connection):
    return wait_until(lambda: builders(connection).keys() == BOTH, 20)


def test_two_indexes_are_built_at_the_same_time(archive, undisturbed, builds_ahead):
    connection = archive(1)
    with older_transaction(connection) as end_it, NodeThread(uri_of(connection)) as node:
        assert both_build(connection)
        # While one session holds the set-up lock, another one builds; readers and writers wait for neither
        connection.execute("SET lock_timeout TO '100ms'")
        connection.execute("UPDATE public.PatientRecyclingOrder SET seq = seq")
        connection.execute("RESET lock_timeout")
        end_it()
        assert wait_until(lambda: node.is_ready is not None, 20)
        assert wait_until(lambda: not unfinished_back_fills(connection), 20)
    assert_same(ending(connection), undisturbed(1))


def test_both_end_with_an_upgrader_that_is_killed(archive, undisturbed):
    connection = archive(1)
    needs_a_server_that_notices(connection)
    with older_transaction(connection), Upgrader(connection, builds_ahead=True) as upgrader:
        assert both_build(connection)
        # No backend goes on without it: the test waits for that.
        upgrader.kill()
    assert set(not_valid(connection)) == BOTH
    finish(connection)
    assert_same(ending(connection), undisturbed(1))


def test_both_end_with_a_node_that_stops(archive, undisturbed, builds_ahead):
    connection = archive(1)
    with older_transaction(connection), NodeThread(uri_of(connection), "a") as node:
        assert both_build(connection)
        began = time.monotonic()
        node.gate.stop()
        assert node.join(20)
        assert time.monotonic() - began < SECONDS
        assert builders(connection) == {}
        assert not set_up_is_locked(connection)
    finish(connection)
    assert_same(ending(connection), undisturbed(1))


def test_an_upgrader_whose_builder_is_lost_builds_by_itself(archive, undisturbed, builds_ahead, caplog):
    connection = archive(1)
    with older_transaction(connection) as end_it, NodeThread(uri_of(connection)) as node:
        assert both_build(connection)
        lost = builders(connection)["uniquepatientid"]
        connection.execute("SELECT pg_terminate_backend(%s)", (lost,))
        assert wait_until(lambda: "before: patients unique: not built ahead" in caplog.text, 10)
        end_it()
        assert wait_until(lambda: node.is_ready is not None, 20)
        assert wait_until(lambda: not unfinished_back_fills(connection), 20)
    assert_same(ending(connection), undisturbed(1))


def test_a_successor_waits_for_the_builder_of_an_upgrader_that_was_cut_off(archive, undisturbed):
    connection = archive(1)
    needs_a_server_that_notices(connection)
    with older_transaction(connection) as end_it, Upgrader(connection, builds_ahead=True) as upgrader:
        assert both_build(connection)
        # Given an upgrader that has lost the set-up lock and cannot know it, as its machine stands still
        upgrader.stop()
        connection.execute("SELECT pg_terminate_backend(%s)", (builders(connection)["uniquepublicid"],))
        assert wait_until(lambda: not set_up_is_locked(connection), 10)
        with NodeThread(uri_of(connection)) as node:
            # When another node takes over, it touches no index while the builder might
            assert wait_until(lambda: "which still builds an index" in (node.gate.reason or ""), 10)
            assert builders(connection).keys() == {"uniquepatientid"}
            end_it()
            # also when that is done, as the builder may have more to do
            assert wait_until(lambda: not_valid(connection) == ["uniquepublicid"], 10)
            assert node.is_ready is None
            upgrader.kill()
            assert wait_until(lambda: node.is_ready is not None, 20)
            assert wait_until(lambda: not unfinished_back_fills(connection), 20)
    assert_same(ending(connection), undisturbed(1))


def test_a_builder_whose_upgrader_was_taken_over_builds_nothing(archive, caplog):
    connection = archive(1)
    install_cluster(connection, "public", "test")
    steps = [step for step in online_steps(1, 10) if step.kind is Kind.INDEX]
    with session(connection) as first:
        ours = Ledger(first, "first")
        ours.take_over(1, 10, [(step, 1.0) for step in steps])
        Ledger(connection, "second").take_over(1, 10, [(step, 1.0) for step in steps])
        with BuildAhead(first, ours, "public", steps[:1], lambda seconds: None) as builder:
            builder.wait_for(steps[0])
    assert "not built ahead: another node has taken over the upgrade" in caplog.text
    assert connection.execute("SELECT to_regclass('public.uniquepublicid')").fetchone() == (None,)


@pytest.mark.parametrize("change", [upgrade_offline, abandon, downgrade])
def test_nobody_else_changes_the_schema_beside_a_builder(archive, change):
    connection = archive(5)
    install_cluster(connection, "public", "test")
    Ledger(connection, "test").take_over(5, 10, [(step, 1.0) for step in online_steps(5, 10)])
    arguments = {upgrade_offline: ("test",), abandon: ("test", UpgradeOptions()), downgrade: (4,)}
    with session(connection) as builder:
        builder.execute("SELECT pg_advisory_lock(%s)", (BUILDER_KEY,))
        with pytest.raises(LockNotAvailable, match="still builds an index"):
            change(connection, "public", *arguments[change])
    assert observe(connection, "public").revision == 5
