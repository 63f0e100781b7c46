"""An upgrade that nobody wants any more, taken back before its switch: the older revision is as it began."""

import json

import pytest

from cluster.schema.abandon import abandon
from cluster.schema.downgrade import downgrade
from cluster.schema.install import install_cluster
from cluster.schema.ledger import steps
from cluster.schema.online import UpgradeOptions
from cluster.schema.phases import Phase, online_steps
from cluster.schema.progress import read_progress
from cluster.schema.revision import observe
from tests.schema.archive import contents
from tests.schema.command_line import nothing_changes, run_schema, uri_of
from tests.schema.conftest import at_revision
from tests.schema.upgrading import (
    abandoned,
    leave_invalid,
    online,
    prepared,
    switched,
    upgraded,
)
from tests.support.catalogue import catalogue
from tests.support.upgrades import not_valid

OLDER = [0, 1, 2, 3, 4, 5, 6]
FOREIGN_KEY = "foreign key resources_parentid_fkey_next"
PATIENTS = "table cluster.patients_before"
INDEXES_OF_3 = ["index childrenindex2", "index dicomidentifiersindex3"]
INDEXES_OF_2 = ["index uniquepatientid", "index uniquepublicid"]
PREPARED = {
    0: [PATIENTS, *INDEXES_OF_3, *INDEXES_OF_2, FOREIGN_KEY],
    1: [PATIENTS, *INDEXES_OF_3, *INDEXES_OF_2, FOREIGN_KEY],
    2: [PATIENTS, *INDEXES_OF_3, FOREIGN_KEY],
    3: [PATIENTS, FOREIGN_KEY],
    4: [PATIENTS, FOREIGN_KEY],
    5: [PATIENTS, FOREIGN_KEY],
    6: [],
}


def own_tables(connection):
    return connection.execute(
        "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'cluster'::regnamespace ORDER BY 1"
    ).fetchall()


def stopped_at(connection, source, step):
    """An upgrade that ended as this step began."""

    class Enough(Exception):
        pass

    def stop(name):
        if name == step:
            raise Enough

    with pytest.raises(Enough):
        switched(connection, source, on_step=stop)


# -- where it ends -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("source", OLDER)
def test_it_ends_where_the_revision_began(index, source):
    connection, untouched = index(source, filled=True), index(source, filled=True)
    install_cluster(untouched, "public", "test")
    kept = contents(connection, source) if source else None
    prepared(connection, source)
    assert (catalogue(connection) - catalogue(untouched) != {}) == (source < 6)
    # When
    assert abandoned(connection) == PREPARED[source]
    # Then
    assert catalogue(connection) - catalogue(untouched) == {}
    assert own_tables(connection) == own_tables(untouched)
    assert observe(connection, "public").revision == source
    assert kept is None or contents(connection, source) == kept
    assert read_progress(connection).current is None
    # and a second time there is nothing to do, nor is it said that there was
    assert abandoned(connection) == []
    history = connection.execute("SELECT step FROM cluster.schema_history ORDER BY pk DESC LIMIT 1").fetchone()
    assert history == (f"abandon: {source or 'unknown'} → 10",)
    # An upgrade that is wanted after all begins at its beginning, and ends as any other.
    assert online(connection) == [step.name for step in online_steps(source, 10)]
    assert catalogue(connection) - catalogue(upgraded(index, source)) == {}


@pytest.mark.parametrize(
    ("source", "step"),
    [(source, step.name) for source in (1, 5) for step in online_steps(source, 10) if step.phase is Phase.BEFORE],
)
def test_from_wherever_the_upgrade_has_come_to(index, source, step):
    connection = index(source, filled=True)
    before = catalogue(connection)
    stopped_at(connection, source, step)
    abandoned(connection)
    assert catalogue(connection) - before == {}
    assert steps(connection) == []


def test_what_was_prepared_for_a_revision_on_the_way(index):
    connection = index(1, filled=True)
    before = catalogue(connection)
    with pytest.raises(ZeroDivisionError):
        switched(connection, 1, 3, on_step=lambda step: 1 / (not step.startswith("switch")))
    assert abandoned(connection) == [*INDEXES_OF_3, *INDEXES_OF_2]
    assert catalogue(connection) - before == {}


def test_a_schema_other_than_public(index):
    connection = index(None)
    connection.execute('CREATE SCHEMA "Archive 1"')
    at_revision(connection, "Archive 1", 1)
    before = catalogue(connection, "Archive 1")
    with pytest.raises(ZeroDivisionError):
        online(connection, schema_name="Archive 1", on_step=lambda step: 1 / (not step.startswith("switch")))
    assert catalogue(connection, "Archive 1") - before != {}
    abandon(connection, "Archive 1", "test", UpgradeOptions())
    assert catalogue(connection, "Archive 1") - before == {}


def test_an_index_that_was_left_invalid_goes_too(index):
    connection = index(1, filled=True)
    connection.execute("DROP INDEX DicomIdentifiersIndexValues2")
    before = catalogue(connection)
    stopped_at(connection, 1, "before: substring searches")
    leave_invalid(
        connection,
        "CREATE INDEX CONCURRENTLY DicomIdentifiersIndexValues2 ON Resources (publicId)",
    )
    assert abandoned(connection) == [INDEXES_OF_3[0], "index dicomidentifiersindexvalues2", *INDEXES_OF_2]
    assert not_valid(connection) == []
    assert catalogue(connection) - before == {}


def test_what_orthancs_own_way_back_has_left_stays_where_the_older_revision_needs_it(index):
    connection = index(2, filled=True)
    # Orthanc's 3 → 2 leaves its index of children, and does not make that of revision 2 again.
    connection.execute("DROP INDEX ChildrenIndex")
    connection.execute("CREATE INDEX ChildrenIndex2 ON Resources (parentId) INCLUDE (publicId, internalId)")
    before = catalogue(connection)
    prepared(connection, 2)
    assert abandoned(connection) == [PATIENTS, "index dicomidentifiersindex3", FOREIGN_KEY]
    assert catalogue(connection) - before == {}


def test_nothing_is_taken_from_an_index_that_nobody_began_to_upgrade(index):
    connection = index(2, filled=True)
    connection.execute("CREATE INDEX DicomIdentifiersIndex3 ON DicomIdentifiers (tagGroup, tagElement, value)")
    with nothing_changes(connection):
        assert abandoned(connection) == []
    install_cluster(connection, "public", "test")
    with nothing_changes(connection):
        assert abandoned(connection) == []
    fresh = index(10, fresh=True)
    with nothing_changes(fresh):
        assert abandoned(fresh) == []


# -- too late ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("back_fills", [False, True])
def test_it_is_refused_after_the_switch(index, back_fills):
    connection = index(5, filled=True)
    if back_fills:
        online(connection)
    else:
        switched(connection, 5)
    with nothing_changes(connection):
        ended = run_schema(uri_of(connection), "abandon")
    assert ended.status == 3
    assert "switch: 5 → 10 is done" in ended.stderr
    assert "at revision 10. Nothing was changed; to go back: orthanc-cluster schema downgrade" in ended.stderr
    # The way back makes it of no interest, and the next upgrade can be abandoned again.
    downgrade(connection, "public", 5, discard=True)
    before = catalogue(connection)
    prepared(connection, 5)
    assert abandoned(connection) == PREPARED[5]
    assert catalogue(connection) - before == {}


# -- the command ---------------------------------------------------------------------------------------------------


def test_as_an_operator_asks_for_it(index):
    connection = index(5, filled=True)
    nothing = run_schema(uri_of(connection), "abandon")
    assert (nothing.status, nothing.stdout) == (
        0,
        'Schema "public" is at revision 5; nothing is prepared for another one.\n',
    )
    prepared(connection, 5)
    ended = run_schema(uri_of(connection), "abandon")
    assert ended.status == 0, ended.stderr
    assert ended.stdout == f'Schema "public" stays at revision 5 (taken away: {PATIENTS}, {FOREIGN_KEY}).\n'
    assert ended.stderr == f"{FOREIGN_KEY}\n"
    prepared(connection, 5)
    ended = run_schema(uri_of(connection), "abandon", "--json")
    assert json.loads(ended.stdout) == {"schema": "public", "revision": 5, "steps": [PATIENTS, FOREIGN_KEY]}
    assert ended.stderr == ""
    status = json.loads(run_schema(uri_of(connection), "status", "--json").stdout)
    assert (status["revision"], status["phase"], status["progress"]) == (5, None, None)
    empty = run_schema(uri_of(index(None)), "abandon")
    assert (empty.status, "is empty" in empty.stderr) == (3, True)
