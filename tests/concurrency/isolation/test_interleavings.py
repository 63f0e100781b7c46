"""Every order of the steps of operations that meet; see the README."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest

from cluster.dicom.levels import Level
from cluster.ingest.removal import remove_files
from tests.concurrency.isolation.operations import delete, follow, identifiers, keep_house, store
from tests.concurrency.isolation.stage import Part, Session, Stage, orders
from tests.support.invariants import assert_exact, rows_and_files
from tests.support.servers import new_database
from workers.local.postgresql import LocalPostgreSQL

MODES = ("ReadCommitted", "Serializable")
FULL = ("write", "log", "commit")
SHORT = ("write", "commit")


@pytest.fixture(scope="module")
def uri(postgresql: LocalPostgreSQL, schema_template: str) -> Iterator[str]:
    with new_database(postgresql, schema_template) as name:
        with psycopg.connect(postgresql.uri("postgres"), autocommit=True) as connection:
            # A deadlock is no reason to wait a second for its end.
            connection.execute(f"ALTER DATABASE {name} SET deadlock_timeout = '30ms'")
        yield postgresql.uri(name)


@pytest.fixture(scope="module", params=MODES)
def stage(request: pytest.FixtureRequest, uri: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    folder: Path = tmp_path_factory.mktemp("OrthancStorage")
    with Stage(uri, folder, request.param) as stage:
        yield stage


ONE, TWO, OTHER_SERIES, OTHER_STUDY = (
    identifiers(1),
    identifiers(2),
    identifiers(1, series=2),
    identifiers(1, series=1, study=2),
)


def once(outcomes: list[Any]) -> None:
    """One of two batches stored it, the other one found it."""
    assert sorted(outcomes) == [["AlreadyStored"], ["Success"]]


def both(outcomes: list[Any]) -> None:
    assert outcomes == [["Success"], ["Success"]]


def stored_and_deleted(outcomes: list[Any]) -> None:
    assert outcomes[0] == ["Success"]
    assert outcomes[1] is True


def maybe_deleted(outcomes: list[Any]) -> None:
    assert outcomes[0] == ["Success"]
    assert outcomes[1] in (True, False)


def deleted_both(outcomes: list[Any]) -> None:
    assert outcomes == [True, True]


def deleted_once(outcomes: list[Any]) -> None:
    assert sorted(outcomes) == [False, True]


@dataclass(frozen=True)
class Spec:
    """Operations that meet, what was there before, and what has to come of it in each order."""

    parts: tuple[Part, ...]
    outcome: Callable[[list[Any]], None]
    instances: tuple[int, ...]
    """How many there may be in the end."""
    given: tuple[tuple[str, str, str, str], ...] = ()


SPECS = {
    "the same instance is created twice": Spec((Part(store(ONE), SHORT), Part(store(ONE), SHORT)), once, (1,)),
    "two instances of a new series": Spec((Part(store(ONE), FULL), Part(store(TWO), ("commit",))), both, (2,)),
    "batches of the same instances": Spec(
        (Part(store(ONE, TWO), ("rows", "commit")), Part(store(TWO, OTHER_SERIES), ("rows", "commit"))),
        lambda outcomes: None,
        (3,),
    ),
    "an instance against the deletion of the last one of its series": Spec(
        (Part(store(TWO), FULL), Part(delete(Level.INSTANCE, ONE), SHORT)), stored_and_deleted, (1,), (ONE,)
    ),
    "an instance against the deletion of its study": Spec(
        (Part(store(TWO), SHORT), Part(delete(Level.STUDY, ONE), SHORT)), stored_and_deleted, (0, 1), (ONE,)
    ),
    "an instance against its own deletion": Spec(
        (Part(store(ONE), SHORT), Part(delete(Level.INSTANCE, ONE), SHORT)), maybe_deleted, (0, 1)
    ),
    "the last instances of two series are deleted": Spec(
        (Part(delete(Level.INSTANCE, ONE), SHORT), Part(delete(Level.INSTANCE, OTHER_SERIES), SHORT)),
        deleted_both,
        (0,),
        (ONE, OTHER_SERIES),
    ),
    "one instance is deleted twice": Spec(
        (Part(delete(Level.INSTANCE, ONE), SHORT), Part(delete(Level.PATIENT, ONE), SHORT)), deleted_once, (0,), (ONE,)
    ),
    "an instance is overwritten twice": Spec(
        (Part(store(ONE, overwrite="Always"), SHORT), Part(store(ONE, overwrite="Always"), SHORT)), both, (1,), (ONE,)
    ),
    "the instances of a series are overwritten": Spec(
        (Part(store(ONE, overwrite="Always"), ("commit",)), Part(store(TWO, overwrite="Always"), ("commit",))),
        both,
        (2,),
        (ONE, TWO),
    ),
    "housekeeping beside ingest": Spec(
        (Part(keep_house, ("commit",)), Part(store(TWO), SHORT)),
        lambda outcomes: None,
        (2,),
        (ONE,),
    ),
    "housekeeping beside a deletion": Spec(
        (Part(keep_house, ("commit",)), Part(delete(Level.INSTANCE, ONE), SHORT)),
        lambda outcomes: None,
        (0,),
        (ONE,),
    ),
}


@pytest.mark.parametrize("name", SPECS)
def test_every_order(stage: Stage, name: str) -> None:
    spec = SPECS[name]
    for order in orders([part.steps for part in spec.parts]):
        stage.empty()
        give(stage, spec.given)
        outcomes = stage.play(spec.parts, order)
        failed = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
        assert not failed, (order, failed)
        spec.outcome(outcomes)
        assert instances(stage) in spec.instances, order
        assert_whole(stage)


def test_a_reader_of_the_change_feed_misses_nothing(stage: Stage) -> None:
    writers = (Part(store(ONE), ("commit",)), Part(store(OTHER_STUDY), ("log",)))
    for order in orders([2, 2, 1]):
        stage.empty()
        reader = stage.sessions[2]
        reader.notes = [last(stage)]
        # The reader looks after each step of the others too: it never waits for anybody.
        watched = Watched(stage, reader)
        watched.play((*writers, Part(follow)), order)
        follow(reader)
        everything = [seq for (seq,) in stage.connection.execute("SELECT seq FROM Changes ORDER BY seq")]
        assert reader.notes[1:] == everything, order
        assert len(everything) == 7
        assert_whole(stage)


class Watched:
    """A stage on which a reader looks after each step."""

    def __init__(self, stage: Stage, reader: Session) -> None:
        self._stage = stage
        self._reader = reader

    def play(self, parts: tuple[Part, ...], order: tuple[int, ...]) -> None:
        settle = self._stage._settle

        def settle_and_look(taken: list[int]) -> None:
            settle(taken)
            if taken[2] == 1:
                follow(self._reader)

        self._stage._settle = settle_and_look
        try:
            self._stage.play(parts, order)
        finally:
            self._stage._settle = settle


def test_the_harness_sees_a_mistake(stage: Stage) -> None:
    """A deletion that does not look for others' children is found out by one of the orders."""
    ids = "SELECT internalId FROM Resources WHERE resourceType = 3 ORDER BY internalId"

    def careless(place: int) -> Callable[[Session], None]:
        def work(session: Session) -> None:
            session.database.run(
                "careless",
                lambda cursor: cursor.execute("DELETE FROM Resources WHERE internalId = %s", (wanted[place],)).rowcount,
            )

        return work

    broken = 0
    for order in orders([2, 2]):
        stage.empty()
        give(stage, (ONE, OTHER_SERIES))
        wanted = [internal_id for (internal_id,) in stage.connection.execute(ids)]
        stage.play((Part(careless(0), ("commit",)), Part(careless(1), ("commit",))), order)
        try:
            assert_exact(stage.connection)
        except AssertionError:
            broken += 1
    assert broken > 0


def give(stage: Stage, given: tuple[tuple[str, str, str, str], ...]) -> None:
    if given:
        host = Session.__new__(Session)
        host.database, host.storage = stage.own, stage.storage
        store(*given)(host)


def last(stage: Stage) -> int:
    return stage.connection.execute("SELECT value FROM GlobalIntegers WHERE key = 6").fetchone()[0]


def instances(stage: Stage) -> int:
    return stage.connection.execute("SELECT count(*) FROM Resources WHERE resourceType = 3").fetchone()[0]


def assert_whole(stage: Stage) -> None:
    assert_exact(stage.connection)
    rows, files = rows_and_files(stage.connection, stage.storage_directory)
    if files != rows:
        remove_files(stage.own, stage.storage)
        rows, files = rows_and_files(stage.connection, stage.storage_directory)
    assert rows == files
