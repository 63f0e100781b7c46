"""Child counts are written by two sessions of one upgrader: what may become of either of them, and of both."""

import threading
from contextlib import contextmanager

import psycopg
import pytest

from cluster.schema import side_by_side
from cluster.schema.ledger import unfinished_back_fills
from cluster.schema.online import UpgradeOptions, prepare_and_switch
from tests.support.gates import NodeThread
from tests.support.obstacles import needs_a_server_that_notices, someone_waits_in
from tests.support.upgrades import WINDOW, Upgrader, assert_same, ending, finish, session, uri_of
from workers.local.children import wait_until

KILLED = -9
BACK_FILL_KEY = 4_410

pytestmark = pytest.mark.usefixtures("small_batches")


@pytest.fixture
def switched(archive):
    """An archive of which nothing is left to do but what comes after the switch."""
    connection = archive(1)
    prepare_and_switch(connection, "public", "test", 1, 10, UpgradeOptions())
    return connection


@contextmanager
def second_halves_locked(connection):
    """A writer has the rows of which the second session is to write the counts; yields a function that ends it."""
    with session(connection) as writer:
        writer.execute("BEGIN")
        held = writer.execute(
            "SELECT internalId FROM public.Resources, (SELECT max(internalId) AS last FROM public.Resources) AS r"
            " WHERE childCount IS NULL AND resourceType < 3 AND (internalId - 1) %% %(keys)s >= %(keys)s / 2"
            " AND internalId <= last / %(keys)s * %(keys)s FOR NO KEY UPDATE OF Resources",
            {"keys": WINDOW},
        ).fetchall()
        assert held
        yield lambda: writer.execute("ROLLBACK")


def first_and_second(connection):
    """The backends of an upgrader whose second session waits for a row; None if there are none now."""
    row = connection.execute(
        "SELECT l.pid, a.pid FROM pg_locks l, pg_stat_activity a, pg_database d"
        " WHERE d.oid = l.database AND d.datname = current_database() AND l.objid = %s AND l.granted AND l.pid <> a.pid"
        " AND a.datname = d.datname AND a.wait_event_type = 'Lock' AND a.query LIKE '%%SET childCount%%'",
        (BACK_FILL_KEY,),
    ).fetchone()
    return row and tuple(row)


def assert_nothing_tells(connection, undisturbed):
    end = ending(connection)
    assert_same(end, undisturbed(1))
    assert end.rows == undisturbed(1).rows


def test_a_node_that_loses_the_second_session_begins_again_with_what_is_left(switched, undisturbed):
    with second_halves_locked(switched) as end_it, NodeThread(uri_of(switched)) as node:
        assert wait_until(lambda: first_and_second(switched), 20)
        lost = first_and_second(switched)
        # When one of two is cut off, then neither of them goes on, and the node comes back with two
        switched.execute("SELECT pg_terminate_backend(%s)", (lost[1],))
        assert wait_until(lambda: not set(first_and_second(switched) or lost) & set(lost), 20)
        end_it()
        assert wait_until(lambda: not unfinished_back_fills(switched), 20)
        assert node.gate.is_ready
    assert_nothing_tells(switched, undisturbed)


def test_a_successor_waits_for_the_second_session_of_an_upgrader_that_lost_the_first(switched, undisturbed):
    with (
        second_halves_locked(switched) as end_it,
        session(switched) as other,
        NodeThread(uri_of(switched)),
    ):
        successor = threading.Thread(target=finish, args=(other,))
        assert wait_until(lambda: first_and_second(switched), 20)
        first, second = first_and_second(switched)
        # Given an upgrader that has lost the key of the back-fills, and does not know it: its other session works
        switched.execute("SELECT pg_terminate_backend(%s)", (first,))
        assert wait_until(lambda: first_and_second(switched) is None, 10)
        # When a successor comes, it waits for the transaction that holds the epoch
        successor.start()
        assert wait_until(lambda: someone_waits_in(switched, "%INTO cluster.upgrade %"), 10)
        assert first_and_second(switched)[1] == second
        end_it()
        successor.join(20)
        assert not unfinished_back_fills(switched)
    assert_nothing_tells(switched, undisturbed)


def test_both_end_with_an_upgrader_that_is_killed(switched, undisturbed):
    needs_a_server_that_notices(switched)
    with second_halves_locked(switched):
        with Upgrader(switched) as upgrader:
            assert wait_until(lambda: first_and_second(switched), 20)
            # When it is killed, neither backend goes on without it, although the row does not come
            assert upgrader.kill() == KILLED
        assert first_and_second(switched) is None
    finish(switched)
    assert_nothing_tells(switched, undisturbed)


def test_one_session_does_it_where_the_server_has_no_second_one(switched, undisturbed, monkeypatch, caplog):
    def none_left(_):
        raise psycopg.OperationalError("sorry, too many clients already")

    monkeypatch.setattr(side_by_side, "same_server", none_left)
    with caplog.at_level("INFO", "cluster"):
        finish(switched)
    assert "sessions side by side: only 1" in caplog.text
    assert_nothing_tells(switched, undisturbed)
