"""Upgrades beside running writers end where the offline way ends, and disturb nobody on the way."""

import time

import pytest

from cluster.schema.install import CLUSTER_VERSION
from cluster.schema.progress import read_progress
from cluster.schema.revision import Finding, observe
from cluster.schema.upgrade import upgrade_offline
from tests.schema.archive import checksums, housekeep, store, wrong_child_counts
from tests.schema.conftest import at_revision
from tests.schema.upgrading import PUBLIC, online, other_session, prepared, upgraded, writers
from tests.support.catalogue import catalogue
from workers.local.children import wait_until

OLDER = [0, 1, 2, 3, 4, 5, 6]


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
    assert [step for (step,) in history] == [f"install cluster {CLUSTER_VERSION}", *done]
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
    prepared(connection, 5)
    # The plugin of revision 5 deletes a patient and relies on the cascade.
    with other_session(connection) as plugin:
        plugin.execute(PUBLIC)
        with plugin.transaction():
            [patient] = plugin.execute("SELECT internalId FROM Resources WHERE publicId = 'p4'").fetchone()
            plugin.execute("SELECT * FROM DeleteResource(%s)", (patient,))
    online(connection)
    left = connection.execute("SELECT count(*) FROM Resources WHERE publicId LIKE 'p4%'").fetchone()
    assert left == (0,)
    assert catalogue(connection) - catalogue(upgraded(index, 5)) == {}


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


def test_work_on_rows_takes_its_share_of_the_time_and_rests_for_the_others(index, small_batches):
    rests, upgrades = [], {}
    last = 0.0

    def pause(seconds):
        nonlocal last
        now = time.monotonic()
        rests.append((now - last, seconds))
        last = now

    for share in (1.0, 0.25):
        connection = index(1, filled=True)
        rests.clear()
        last = time.monotonic()
        online(connection, share=share, pause=pause)
        upgrades[share] = [rest for rest in rests if rest[1]]
    assert upgrades[1.0] == []
    # A quarter of the time: it rests for three times as long as each transaction took, and nothing longer.
    assert len(upgrades[0.25]) > 10
    assert all(0 < rest <= 3 * since for since, rest in upgrades[0.25])
    assert sum(rest for _, rest in upgrades[0.25]) > sum(since for since, _ in upgrades[0.25])


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
