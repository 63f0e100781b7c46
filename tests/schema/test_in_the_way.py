"""What can be in the way of an upgrade beside running writers."""

import threading

import pytest

from cluster.errors import NodesInTheWay, SchemaMismatch
from cluster.schema.install import install_cluster
from cluster.schema.progress import read_progress
from cluster.schema.revision import observe
from cluster.schema.upgrade import upgrade_offline
from tests.schema.archive import checksums
from tests.schema.upgrading import PUBLIC, leave_invalid, online, other_session, prepared, upgraded, writers
from tests.support.catalogue import catalogue
from workers.local.children import wait_until


def test_the_switch_lets_writers_pass_while_it_cannot_have_its_locks(index):
    connection = index(6, filled=True)
    told, finished = [], []
    with other_session(connection) as reader, writers(connection) as acknowledged:
        # Given a session that reads for long, such as a backup
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM public.Resources")
        upgrade = threading.Thread(target=lambda: finished.extend(online(connection, waiting=told.append)))
        upgrade.start()
        assert wait_until(lambda: len(told) >= 2, 20)
        # Then everybody else works, nobody waits for longer than the switch's patience, and it says who is in the way
        before = len(acknowledged)
        assert wait_until(lambda: {writer for writer, _ in acknowledged[before:]} == {0, 1, 2}, 10)
        assert f"pid {reader.info.backend_pid} " in told[-1]
        assert not finished
        reader.execute("ROLLBACK")
        upgrade.join(20)
    assert finished[-1] == "after: child counts"
    assert max(seconds for _, seconds in acknowledged) < 2


def test_an_index_that_was_left_invalid_is_built_anew(index):
    connection, expected = index(1, filled=True), catalogue(upgraded(index, 1))
    leave_invalid(connection, "CREATE UNIQUE INDEX CONCURRENTLY uniquepublicid ON Resources (publicId)")
    leave_invalid(connection, "CREATE INDEX CONCURRENTLY ChildrenIndex2 ON Resources (parentId)")
    online(connection)
    assert catalogue(connection) - expected == {}


def test_the_offline_way_does_not_take_an_invalid_index_for_a_valid_one(index):
    connection, expected = index(1, filled=True), catalogue(upgraded(index, 1))
    leave_invalid(connection, "CREATE UNIQUE INDEX CONCURRENTLY uniquepublicid ON Resources (publicId)")
    leave_invalid(connection, "CREATE INDEX CONCURRENTLY ChildrenIndex2 ON Resources (parentId)")
    upgrade_offline(connection, "public", "test")
    assert catalogue(connection) - expected == {}


@pytest.mark.parametrize("way", ["online", "offline"])
def test_an_upgrade_that_was_begun_online_can_be_finished_either_way(index, way):
    connection = index(1, filled=True)
    prepared(connection, 1)
    assert observe(connection, "public").revision == 1
    assert read_progress(connection).phase == "switch"
    if way == "online":
        assert online(connection) == ["switch: 1 → 10", "after: recycling order", "after: child counts"]
    else:
        upgrade_offline(connection, "public", "test")
        assert read_progress(connection).current is None
        assert connection.execute("SELECT to_regclass('cluster.patients_before')").fetchone() == (None,)
    assert catalogue(connection) - catalogue(upgraded(index, 1)) == {}


def test_public_ids_that_are_not_unique_are_named_and_nothing_changes(index):
    connection = index(1, filled=True)
    connection.execute("INSERT INTO Resources (resourceType, publicId) VALUES (0, 'p1')")
    connection.execute(PUBLIC)
    before = checksums(connection)
    with pytest.raises(SchemaMismatch, match=r"in resources, publicid p1 2 times.*revision was not changed"):
        online(connection)
    assert observe(connection, "public").revision == 1
    assert checksums(connection) == before
    # When somebody has repaired it, the same command goes on.
    connection.execute(
        "DELETE FROM Resources WHERE publicId = 'p1' AND internalId > (SELECT min(internalId) + 40 FROM Resources)"
    )
    assert online(connection)[0] == "before: public ids unique"


def test_live_nodes_that_cannot_serve_the_new_revision_are_in_the_way(index):
    connection = index(6, filled=True)
    install_cluster(connection, "public", "test")
    connection.execute(
        "INSERT INTO cluster.nodes (node_id, name, roles, version, revisions, patience)"
        " VALUES (gen_random_uuid(), 'old-1', '{ingest}', '0.0.9', '{5,6}', '1 hour')"
    )
    with pytest.raises(NodesInTheWay, match=r"revision 10 would break old-1 \(version 0.0.9, which serves 5, 6\)"):
        online(connection)
    with pytest.raises(SchemaMismatch, match="old-1"):
        online(connection, refuse_nodes=True)
    assert observe(connection, "public").revision == 6
    # Everything before the switch was done meanwhile, and once it is gone the switch follows.
    assert read_progress(connection).phase == "switch"
    connection.execute("UPDATE cluster.nodes SET patience = '0'")
    assert online(connection) == ["switch: 6 → 10", "after: child counts"]
