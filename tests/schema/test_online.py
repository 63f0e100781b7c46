"""Upgrades beside running writers end where the offline way ends, and disturb nobody on the way."""

import threading
import time
from contextlib import contextmanager

import psycopg
import pytest

from cluster.errors import NodesInTheWay, SchemaMismatch
from cluster.schema import batches
from cluster.schema.downgrade import downgrade
from cluster.schema.install import install_cluster
from cluster.schema.online import UpgradeOptions, back_fill, prepare_and_switch
from cluster.schema.progress import read_progress
from cluster.schema.revision import Finding, observe
from cluster.schema.upgrade import upgrade_offline, upgrade_online
from tests.schema.archive import RECYCLING_ORDER, checksums, contents, housekeep, store, wrong_child_counts
from tests.schema.conftest import at_revision
from tests.support.catalogue import catalogue
from workers.local.children import wait_until

OLDER = [0, 1, 2, 3, 4, 5, 6]
PUBLIC = "SET search_path TO public"


def online(connection, target=10, schema_name="public", **options):
    return upgrade_online(connection, schema_name, "test", target, UpgradeOptions(**options))


def switched(connection, source, target=10, **options):
    """Everything but what comes after the switch."""
    return prepare_and_switch(connection, "public", "test", source, target, UpgradeOptions(**options))


def other_session(connection):
    return psycopg.connect(connection.info.dsn, password=connection.info.password, autocommit=True)


@pytest.fixture
def small_batches(monkeypatch):
    monkeypatch.setattr(batches, "_FIRST_SIZE", 3)
    monkeypatch.setattr(batches, "_LARGEST_SIZE", 3)


@pytest.mark.parametrize(
    ("source", "target"), [*((revision, 10) for revision in OLDER), (0, 1), (1, 2), (1, 3), (2, 5), (3, 4), (4, 6)]
)
def test_online_and_offline_end_the_same(index, small_batches, source, target):
    beside, alone = index(source, filled=True), index(source, filled=True)
    done = online(beside, target)
    upgrade_offline(alone, "public", "test", target)
    assert observe(beside, "public").revision == target
    assert catalogue(beside) - catalogue(alone) == {}
    for connection in (beside, alone):
        housekeep(connection, target)
    assert checksums(beside) == checksums(alone)
    assert target < 3 or wrong_child_counts(beside) == []
    # Each step is in the history once, and a second upgrade finds nothing to do.
    history = beside.execute("SELECT step FROM cluster.schema_history ORDER BY pk").fetchall()
    assert [step for (step,) in history] == ["install cluster 2", *done]
    assert online(beside, target) == []


def test_a_schema_other_than_public(index):
    connection = index(None)
    connection.execute('CREATE SCHEMA "Archive 1"')
    at_revision(connection, "Archive 1", 1)
    connection.execute("SET search_path TO public")
    online(connection, schema_name="Archive 1")
    assert observe(connection, "Archive 1").finding is Finding.EXACT
    assert catalogue(connection, "Archive 1") - catalogue(index(1)) != {}
    upgraded = index(1)
    online(upgraded)
    assert catalogue(connection, "Archive 1") - catalogue(upgraded) == {}


# Writers --------------------------------------------------------------------------------------------------------------


@contextmanager
def writers(connection, number=3):
    """Store instances as a plugin of the revision of the moment does, each writer for a patient of its own; yields the
    list of (writer, seconds) of what was acknowledged."""
    acknowledged, failures, over = [], [], threading.Event()

    def write(writer):
        with other_session(connection) as session:
            session.execute(PUBLIC)
            instance = 0
            while not over.is_set():
                began = time.monotonic()
                try:
                    with session.transaction():
                        store(session, f"w{writer}", f"w{writer}.0", f"w{writer}.0.0", f"w{writer}.0.0.{instance}")
                except psycopg.Error as error:
                    # What a plugin does about any error: once more from the beginning. It calls what the switch
                    # has just replaced.
                    failures.append(error)
                    continue
                acknowledged.append((writer, time.monotonic() - began))
                instance += 1

    threads = [threading.Thread(target=write, args=(writer,), daemon=True) for writer in range(number)]
    for thread in threads:
        thread.start()
    try:
        yield acknowledged
    finally:
        over.set()
        for thread in threads:
            thread.join(20)
        assert not any(thread.is_alive() for thread in threads)
        assert len(failures) < 50, failures[-1]


@pytest.mark.parametrize("source", [1, 2, 3, 4, 5, 6])
def test_writers_go_on_in_every_phase(index, small_batches, source):
    connection = index(source, filled=True)
    went_on = []
    with writers(connection) as acknowledged:

        def everybody_stores_more(*_):
            before = len(acknowledged)
            went_on.append(
                wait_until(lambda: {writer for writer, _ in acknowledged[before:]} == {0, 1, 2}, timeout_seconds=10)
            )

        online(connection, on_step=everybody_stores_more, pause=lambda seconds: None)
        everybody_stores_more()
    assert len(went_on) > 4
    assert all(went_on)
    # Nobody waited for long: the longest transaction is an upper bound of the longest wait for a lock.
    assert max(seconds for _, seconds in acknowledged) < 2
    connection.execute(PUBLIC)
    housekeep(connection, 10)
    stored = connection.execute(
        "SELECT count(*), count(DISTINCT publicId) FROM Resources WHERE publicId LIKE 'w_.0.0._%'"
    )
    assert stored.fetchone() == (len(acknowledged), len(acknowledged))
    assert wrong_child_counts(connection) == []
    counted = connection.execute("SELECT resourceType + 2, count(*) FROM Resources GROUP BY 1 ORDER BY 1").fetchall()
    assert (
        connection.execute("SELECT key, value FROM GlobalIntegers WHERE key BETWEEN 2 AND 5 ORDER BY 1").fetchall()
        == counted
    )
    sizes = connection.execute("SELECT sum(compressedSize)::bigint, sum(uncompressedSize)::bigint FROM AttachedFiles")
    kept = connection.execute("SELECT value FROM GlobalIntegers WHERE key < 2 ORDER BY key").fetchall()
    assert tuple(value for (value,) in kept) == sizes.fetchone()


def test_the_plugins_own_deletions_work_while_both_foreign_keys_are_there(index):
    connection = index(5, filled=True)

    class Enough(Exception):
        pass

    def stop(step):
        if step.startswith("switch"):
            raise Enough

    with pytest.raises(Enough):
        switched(connection, 5, on_step=stop)
    # The plugin of revision 5 deletes a patient and relies on the cascade.
    with other_session(connection) as plugin:
        plugin.execute(PUBLIC)
        with plugin.transaction():
            [patient] = plugin.execute("SELECT internalId FROM Resources WHERE publicId = 'p4'").fetchone()
            plugin.execute("SELECT * FROM DeleteResource(%s)", (patient,))
    online(connection)
    left = connection.execute("SELECT count(*) FROM Resources WHERE publicId LIKE 'p4%'").fetchone()
    assert left == (0,)
    assert catalogue(connection) - catalogue(_upgraded(index, 5)) == {}


def test_counts_that_the_trigger_of_revision_3_gets_wrong_are_right_after_the_upgrade(index, small_batches):
    connection = index(3, filled=True)
    # Given the plugin's trigger, which works row by row and takes an unknown count for nothing, and a wrong count
    connection.execute(
        "CREATE OR REPLACE FUNCTION UpdateChildCount() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " IF TG_OP = 'INSERT' THEN UPDATE Resources SET childCount = coalesce(childCount, 0) + 1"
        " WHERE internalId = new.parentId; ELSE UPDATE Resources SET childCount = childCount - 1"
        " WHERE internalId = old.parentId; END IF; RETURN NULL; END $$"
    )
    for trigger, event in (("IncrementChildCount", "INSERT"), ("DecrementChildCount", "DELETE")):
        connection.execute(f"DROP TRIGGER {trigger} ON Resources")
        connection.execute(
            f"CREATE TRIGGER {trigger} AFTER {event} ON Resources FOR EACH ROW EXECUTE FUNCTION UpdateChildCount()"
        )
    connection.execute("UPDATE Resources SET childCount = NULL WHERE publicId IN ('p1', 'p3.0', 'p3.0.0')")
    store(connection, "p3", "p3.0", "p3.0.0", "p3.0.0.late")
    assert [row[0] for row in wrong_child_counts(connection)] == ["p1", "p3.0", "p3.0.0"]
    # When children come while it is upgraded
    number = iter(range(1000))
    with other_session(connection) as plugin:
        plugin.execute(PUBLIC)
        online(connection, pause=lambda seconds: store(plugin, "p3", "p3.0", "p3.0.0", f"p3.0.0.more{next(number)}"))
    # Then only housekeeping of what came since is left
    connection.execute("SELECT UpdateInvalidChildCounts()")
    assert wrong_child_counts(connection) == []
    assert next(number) > 10


# The recycling order after the switch ---------------------------------------------------------------------------------


def test_who_gets_an_instance_before_the_back_fill_is_recycled_last(index, small_batches):
    connection = index(5, filled=True)
    switched(connection, 5)
    connection.execute(PUBLIC)
    # Nobody who is still to be placed can be recycled meanwhile, and who is protected is so already.
    assert contents(connection, 10)["recycling order"] == []
    assert contents(connection, 10)["protected"] == {"p2", "p4"}
    first, *others = RECYCLING_ORDER
    store(connection, first, f"{first}.0", f"{first}.0.0", "new")
    store(connection, "p9", "p9.0", "p9.0.0", "p9.0.0.0")
    assert back_fill(connection, "public", "test", UpgradeOptions()) == [
        "after: recycling order",
        "after: child counts",
    ]
    assert contents(connection, 10)["recycling order"] == [*others, first, "p9"]


@pytest.mark.parametrize("is_seen", [True, False])
def test_who_is_protected_or_not_between_the_look_and_the_switch(index, is_seen):
    connection = index(5, filled=True)
    before = contents(connection, 5)

    def meanwhile(step):
        if not step.startswith("switch"):
            return
        ids = dict(connection.execute("SELECT publicId, internalId FROM Resources WHERE resourceType = 0").fetchall())
        # p2 is protected no more, p5 is now, p9 came and is protected, p4, who was protected, is gone
        connection.execute("INSERT INTO PatientRecyclingOrder (patientId) VALUES (%s)", (ids["p2"],))
        store(connection, "p9", "p9.0", "p9.0.0", "p9.0.0.0")
        connection.execute("DELETE FROM PatientRecyclingOrder WHERE patientId = %s", (ids["p5"],))
        connection.execute(
            "DELETE FROM PatientRecyclingOrder USING Resources r WHERE patientId = r.internalId AND publicId = 'p9'"
        )
        connection.execute("SELECT * FROM DeleteResource(%s)", (ids["p4"],))
        if not is_seen:
            # One whose transaction was under way when the patients were looked at: its number is lower than others'
            connection.execute("DELETE FROM cluster.patients_before WHERE patient_id = %s", (ids["p5"],))

    online(connection, on_step=meanwhile)
    after = contents(connection, 10)
    assert after["protected"] == {"p5", "p9"}
    assert before["protected"] == {"p2", "p4"}
    assert after["recycling order"] == ["p3", "p1", "p2"]
    assert connection.execute("SELECT to_regclass('cluster.patients_before')").fetchone() == (None,)


def test_places_that_orthanc_could_not_read_are_made_small(index, small_batches):
    connection = index(5, filled=True)
    connection.execute("UPDATE PatientRecyclingOrder SET seq = seq + 3000000000")
    online(connection)
    connection.execute(PUBLIC)
    assert contents(connection, 10)["recycling order"] == RECYCLING_ORDER
    places = connection.execute("SELECT value FROM Metadata WHERE type = 19 ORDER BY value").fetchall()
    assert places == [("1",), ("2",), ("3",)]
    store(connection, "p3", "p3.0", "p3.0.0", "new")
    assert contents(connection, 10)["recycling order"] == ["p5", "p1", "p3"]


@pytest.mark.parametrize("target", [6, 5, 1])
def test_a_downgrade_first_does_what_the_upgrade_left(index, target):
    connection = index(5, filled=True)
    before = contents(connection, 5)
    switched(connection, 5)
    downgrade(connection, "public", target, discard=True)
    connection.execute(PUBLIC)
    after = contents(connection, target)
    for what in ("protected", "recycling order", "resources", "statistics"):
        assert after[what] == before[what]
    # And the way back up begins anew.
    assert online(connection)[-1] == "after: child counts"


# What is in the way ---------------------------------------------------------------------------------------------------


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
    connection, expected = index(1, filled=True), catalogue(_upgraded(index, 1))
    _leave_invalid(connection, "CREATE UNIQUE INDEX CONCURRENTLY uniquepublicid ON Resources (publicId)")
    _leave_invalid(connection, "CREATE INDEX CONCURRENTLY ChildrenIndex2 ON Resources (parentId)")
    online(connection)
    assert catalogue(connection) - expected == {}


def test_the_offline_way_does_not_take_an_invalid_index_for_a_valid_one(index):
    connection, expected = index(1, filled=True), catalogue(_upgraded(index, 1))
    _leave_invalid(connection, "CREATE UNIQUE INDEX CONCURRENTLY uniquepublicid ON Resources (publicId)")
    _leave_invalid(connection, "CREATE INDEX CONCURRENTLY ChildrenIndex2 ON Resources (parentId)")
    upgrade_offline(connection, "public", "test")
    assert catalogue(connection) - expected == {}


@pytest.mark.parametrize("way", ["online", "offline"])
def test_an_upgrade_that_was_begun_online_can_be_finished_either_way(index, way):
    connection = index(1, filled=True)

    class Enough(Exception):
        pass

    def stop(step):
        if step.startswith("switch"):
            raise Enough

    with pytest.raises(Enough):
        switched(connection, 1, on_step=stop)
    assert observe(connection, "public").revision == 1
    assert read_progress(connection).phase == "switch"
    if way == "online":
        assert online(connection) == ["switch: 1 → 10", "after: recycling order", "after: child counts"]
    else:
        upgrade_offline(connection, "public", "test")
        assert read_progress(connection).current is None
        assert connection.execute("SELECT to_regclass('cluster.patients_before')").fetchone() == (None,)
    assert catalogue(connection) - catalogue(_upgraded(index, 1)) == {}


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


def test_progress_is_told_in_words_and_figures(index):
    connection = index(1, filled=True)
    seen = []
    with other_session(connection) as watcher:
        online(connection, on_step=lambda step: seen.append(read_progress(watcher)))
    assert [progress.phase for progress in seen] == ["before"] * 8 + ["switch"] + ["after"] * 2
    assert seen[2].describe().startswith("upgrade 1→10, step 3 of 11, ")
    assert seen[2].describe().endswith(" %, by node test")
    fractions = [progress.fraction for progress in seen]
    assert fractions == sorted(fractions)
    assert 0 <= fractions[0] < fractions[-1] < 1
    end = read_progress(connection)
    assert (end.phase, end.fraction, end.seconds_left) == (None, 1.0, 0)
    [switch] = [step for step in end.steps if step.phase == "switch"]
    assert 0 < switch.held_milliseconds < 1000


def _upgraded(index, revision):
    connection = index(revision, filled=True)
    online(connection)
    return connection


def _leave_invalid(connection, statement):
    """What a build leaves behind that was ended while it waited for an older transaction."""
    with other_session(connection) as older, other_session(connection) as builder:
        older.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        older.execute("SELECT count(*) FROM public.Resources")
        builder.execute("SET search_path TO public")
        builder.execute("SET statement_timeout TO '200ms'")
        with pytest.raises(psycopg.errors.QueryCanceled):
            builder.execute(statement)
        older.execute("ROLLBACK")
    name = statement.split()[statement.split().index("CONCURRENTLY") + 1].lower()
    assert connection.execute(
        "SELECT indisvalid FROM pg_index WHERE indexrelid = %s::regclass", (f"public.{name}",)
    ).fetchone() == (False,)
