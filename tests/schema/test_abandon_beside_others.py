"""An upgrade that is taken back beside writers, other upgraders and nodes, and one whose taking back is interrupted."""

import threading

import pytest

from cluster.errors import LockNotAvailable
from cluster.schema.phases import online_steps
from cluster.schema.revision import observe
from tests.schema.command_line import nothing_changes
from tests.schema.test_abandon import FOREIGN_KEY, INDEXES_OF_2, PREPARED
from tests.schema.upgrading import abandoned, online, other_session, prepared, switched, upgraded, writers
from tests.support.catalogue import catalogue
from workers.local.children import wait_until


def test_writers_go_on_and_wait_for_nothing_long(index):
    connection = index(1, filled=True)
    prepared(connection, 1)
    before = catalogue(index(1))
    told, taken = [], []
    with other_session(connection) as reader, writers(connection) as acknowledged:
        # Given a session that reads for long, which the removal of an index waits for too
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM public.GlobalProperties")
        work = threading.Thread(
            target=lambda: taken.extend(abandoned(connection, waiting=told.append)),
        )
        work.start()
        assert wait_until(lambda: len(told) >= 2, 20)
        count = len(acknowledged)
        assert wait_until(lambda: {writer for writer, _ in acknowledged[count:]} == {0, 1, 2}, 10)
        assert f"pid {reader.info.backend_pid} " in told[-1]
        reader.execute("ROLLBACK")
        work.join(20)
    assert taken == PREPARED[1]
    assert max(seconds for _, seconds in acknowledged) < 2
    assert catalogue(connection) - before == {}


def test_an_upgrader_that_wakes_up_later_is_refused(index):
    connection = index(5, filled=True)
    before = catalogue(connection)

    def abandon_before_the_switch(step):
        if step.startswith("switch"):
            with other_session(connection) as other:
                abandoned(other)

    with pytest.raises(LockNotAvailable, match="another node has taken over"):
        switched(connection, 5, on_step=abandon_before_the_switch)
    assert catalogue(connection) - before == {}
    assert observe(connection, "public").revision == 5


def test_an_upgrader_at_work_and_nodes_that_wait_are_in_the_way(index):
    connection = index(5, filled=True)
    prepared(connection, 5)
    with other_session(connection) as upgrader:
        upgrader.execute("SELECT pg_advisory_lock(44)")
        with pytest.raises(LockNotAvailable, match="set-up lock; if it"):
            abandoned(connection)
    connection.execute(
        "INSERT INTO cluster.nodes (node_id, name, roles, version, revisions, patience)"
        " VALUES (gen_random_uuid(), 'new-1', '{ingest}', '0.1.0', '{10}', '1 hour')"
    )
    with nothing_changes(connection), pytest.raises(LockNotAvailable, match=r"revision 5: new-1 .*stop them first"):
        abandoned(connection)


def test_one_that_is_interrupted_can_be_given_again_or_given_up_itself(index):
    def interrupted():
        connection = index(1, filled=True)
        prepared(connection, 1)
        with pytest.raises(ZeroDivisionError):
            abandoned(connection, on_step=lambda thing: 1 / (thing != "index uniquepatientid"))
        return connection

    again = interrupted()
    assert abandoned(again) == [*INDEXES_OF_2, FOREIGN_KEY]
    assert catalogue(again) - catalogue(index(1)) == {}
    # An upgrade builds anew what is gone.
    upgrade = interrupted()
    assert online(upgrade) == [step.name for step in online_steps(1, 10)]
    assert catalogue(upgrade) - catalogue(upgraded(index, 1)) == {}
