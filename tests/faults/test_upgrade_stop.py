"""A node that is told to stop while it upgrades ends at once, and leaves lock and work to the others."""

import json
import signal
import time
from contextlib import contextmanager

import pytest

from cluster.schema.ledger import unfinished_back_fills
from tests.support.backstage import ProcessOne
from tests.support.gates import NodeThread
from tests.support.obstacles import older_transaction, set_up_is_locked, someone_waits_in
from tests.support.upgrades import assert_same, ending, history, not_valid, session, uri_of
from workers.local.children import wait_until

SECONDS = 2


@contextmanager
def locked_rows(connection):
    """GlobalIntegers in the hands of somebody else, whom the folding of statistics waits for."""
    with session(connection) as other:
        other.execute("BEGIN")
        other.execute("SELECT FROM public.GlobalIntegers FOR UPDATE")
        yield


@contextmanager
def writing(connection):
    with older_transaction(connection, writes=True):
        yield


@contextmanager
def reading(connection):
    with older_transaction(connection):
        yield


WAITS = {
    "index": (1, reading, "%CREATE UNIQUE INDEX CONCURRENTLY%", "before: public ids unique"),
    "index, begun": (1, writing, "%CREATE UNIQUE INDEX CONCURRENTLY%", "before: public ids unique"),
    "statement": (5, writing, "%ADD CONSTRAINT%", "before: foreign key for new rows"),
    "batch": (4, locked_rows, "%UPDATE GlobalIntegers%", "before: statistics folded"),
    "switch": (5, reading, "LOCK TABLE%ACCESS EXCLUSIVE MODE", "switch: 5 → 10"),
}


@pytest.mark.parametrize("kind", WAITS)
def test_a_node_that_stops_while_a_step_waits_lets_another_one_go_on(archive, undisturbed, kind):
    source, obstacle, statement, step = WAITS[kind]
    connection = archive(source)
    with obstacle(connection):
        with NodeThread(uri_of(connection), "a") as a:
            assert wait_until(lambda: someone_waits_in(connection, statement), 20)
            # When the pod is deleted
            began = time.monotonic()
            a.gate.stop()
            assert a.join(20)
            # Then the node is gone although what it waited for is still there
            assert time.monotonic() - began < SECONDS
            assert a.is_ready is False
            assert a.gate.reason == "draining"
            # and it has let go of the lock before its connection is closed
            assert not set_up_is_locked(connection)
            assert step not in history(connection)
        assert not_valid(connection) == (["uniquepublicid"] if kind.startswith("index") else [])
    # and another one does the rest
    with NodeThread(uri_of(connection), "b") as b:
        assert wait_until(lambda: b.is_ready is not None, 20)
        assert b.is_ready
        assert wait_until(lambda: not unfinished_back_fills(connection), 20)
    nodes = connection.execute("SELECT node FROM cluster.schema_history WHERE step = %s", (step,)).fetchall()
    assert nodes == [("b",)]
    assert_same(ending(connection), undisturbed(source))


def test_an_upgrade_by_hand_that_is_process_1_ends_at_sigterm(archive, tmp_path):
    connection = archive(4)
    file = tmp_path / "orthanc.json"
    file.write_text(json.dumps({"PostgreSQL": {"EnableIndex": True, "ConnectionUri": uri_of(connection)}}), "utf-8")
    with locked_rows(connection):
        # Given the pod of a Job in the middle of an upgrade
        with ProcessOne(["schema", "upgrade", "--config", str(file)], tmp_path / "log") as process:
            assert wait_until(lambda: someone_waits_in(connection, "%UPDATE GlobalIntegers%"), 60)
            # When it is deleted
            process.signal(signal.SIGTERM)
            # Then it ends, not as if it were done
            assert process.wait(SECONDS) == 130
        # and lets go of the lock although what it waited for is still there
        assert wait_until(lambda: not set_up_is_locked(connection), SECONDS)
