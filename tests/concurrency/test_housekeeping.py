"""One process keeps house, whatever becomes of it: another takes over, and nothing is done twice or beside it."""

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from cluster.coordinator.election import Election
from cluster.database import Database
from cluster.database.advisory_lock import HOUSEKEEPING_KEY
from cluster.errors import OfficeLost
from cluster.ingest.intake import open_intake
from cluster.ingest.origin import Origin
from tests.concurrency.conftest import instance_file
from tests.support.backstage import RoleProcess
from tests.support.invariants import EXACT, TOTALS
from tests.support.proxy import Proxy
from tests.support.settings import settings_for
from workers.local.children import wait_until

TAKEOVER_SECONDS = 20
"""Of which the server waits 5 for a process that says nothing, and a candidate 1 for its next look."""

LOG_OF_PASSES = """
CREATE TABLE public.passes (number bigint GENERATED ALWAYS AS IDENTITY, term bigint, node text, pass bigint);
CREATE FUNCTION public.note_pass() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO public.passes (term, node, pass) VALUES (NEW.term, NEW.node, NEW.passes);
    RETURN NULL;
END $$;
CREATE TRIGGER note_pass AFTER INSERT OR UPDATE ON cluster.offices FOR EACH ROW EXECUTE FUNCTION public.note_pass();
"""


class House:
    """Two processes of the role, each with a wire of its own to the database."""

    def __init__(self, folder: Path, database_uri: str, storage_directory: Path, port: int, target: Proxy) -> None:
        def process(name: str, uri: str) -> RoleProcess:
            postgresql = {"EnableIndex": True, "ConnectionUri": uri, "ConnectionRetryInterval": 1}
            options = {"StableAge": 1, "PostgreSQL": postgresql}
            return RoleProcess("housekeeping", name, folder, uri, storage_directory, **options)

        self.wire = target
        self.first = process("first", database_uri.replace(f":{port}/", f":{target.port}/"))
        self.second = process("second", database_uri)

    def term_of(self, process: RoleProcess, connection: psycopg.Connection) -> bool:
        found = connection.execute("SELECT node, passes FROM cluster.offices WHERE passes > 1").fetchone()
        return found is not None and found[0] == ("first" if process is self.first else "second")


@pytest.fixture
def connection(database_uri: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(database_uri, autocommit=True) as connection:
        connection.execute(LOG_OF_PASSES)
        yield connection


@pytest.fixture
def house(tmp_path: Path, database_uri: str, storage_directory: Path, connection) -> Iterator[House]:
    info = connection.info
    with Proxy("127.0.0.1", info.port) as wire:
        house = House(tmp_path, database_uri, storage_directory, info.port, wire)
        with house.first:
            house.first.wait_ready()
            assert wait_until(lambda: house.term_of(house.first, connection), TAKEOVER_SECONDS)
            with house.second:
                house.second.wait_ready()
                yield house


def kill(house: House) -> None:
    os.kill(house.first.process.pid, signal.SIGKILL)


def stop(house: House) -> None:
    os.kill(house.first.process.pid, signal.SIGSTOP)


def sever(house: House) -> None:
    house.wire.refuse()
    house.wire.sever()


@pytest.mark.parametrize("trouble", [kill, stop, sever], ids=lambda it: it.__name__)
def test_another_takes_over_and_everything_is_exact(house, connection, database_uri, storage_directory, trouble):
    # Given one that keeps house and one that stands by, while instances come in
    assert house.second.metric("orthanc_cluster_housekeeping_leader") == 0
    assert house.first.metric("orthanc_cluster_housekeeping_leader") == 1
    with storing(database_uri, storage_directory) as stored:
        assert wait_until(lambda: stored.count > 20, 60)
        # When something happens to the first
        trouble(house)
        # Then the second works within seconds
        assert wait_until(lambda: house.term_of(house.second, connection), TAKEOVER_SECONDS)
        assert house.second.metric("orthanc_cluster_housekeeping_leader") == 1
        assert house.second.metric("orthanc_cluster_housekeeping_pass_timestamp_seconds") > 0
        # and goes on when the first comes back
        if trouble is stop:
            os.kill(house.first.process.pid, signal.SIGCONT)
        house.wire.refuse(False)
        if trouble is not kill:
            assert wait_until(lambda: house.first.metric("orthanc_cluster_housekeeping_leader") == 0, 20)
        before = stored.count
        assert wait_until(lambda: stored.count > before + 10, 60)
    # and all is exact, by itself
    assert wait_until(lambda: nothing_to_do(connection), 30)
    wrong = {name: connection.execute(query).fetchone()[0] for name, query in EXACT.items()}
    assert wrong == dict.fromkeys(EXACT, 0)
    totals = connection.execute("SELECT value FROM GlobalIntegers WHERE key BETWEEN 0 AND 5 ORDER BY key").fetchall()
    expected = connection.execute(TOTALS).fetchone()
    assert [value for (value,) in totals] == [*expected[4:], *expected[:4]]
    once = (
        "SELECT resourceType, count(*) FROM Changes WHERE changeType IN (12, 13, 14)"
        " GROUP BY resourceType, internalId, changeType HAVING count(*) <> 1"
    )
    assert connection.execute(once).fetchall() == []
    # and never did the work of one term follow that of a later one
    passes = connection.execute("SELECT term, node, pass FROM public.passes ORDER BY number").fetchall()
    assert [term for term, _, _ in passes] == sorted(term for term, _, _ in passes)
    assert {(term, node) for term, node, _ in passes} == {(1, "first"), (2, "second")}


def test_a_new_term_waits_for_work_under_way_and_ends_all_that_follows(database_uri):
    settings = settings_for(database_uri).postgresql
    database = Database(settings)
    database.open()
    elections = [Election(settings, "housekeeping", HOUSEKEEPING_KEY, name) for name in ("a", "b")]
    a, b = elections
    going_on, may_end = threading.Event(), threading.Event()

    def work(cursor):
        cursor.execute("CREATE TABLE public.work (term int)")
        going_on.set()
        assert may_end.wait(20)

    with psycopg.connect(database_uri, autocommit=True) as connection:
        try:
            # Given one in office in the middle of its work
            a.start()
            assert wait_until(lambda: a.term is not None, 10)
            of_a = a.in_term(database, a.term)
            worker = threading.Thread(target=lambda: of_a.run("work", work))
            worker.start()
            assert going_on.wait(10)
            # When its lock goes to another one
            a.stop()
            b.start()
            waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%offices%'"
            assert wait_until(lambda: connection.execute(waiting).fetchone() == (1,), 10)
            # Then that waits for the work to be over
            assert b.term is None
            may_end.set()
            worker.join()
            assert wait_until(lambda: b.term is not None, 10)
            assert connection.execute("SELECT to_regclass('public.work') IS NOT NULL").fetchone() == (True,)
            # and the first can do nothing more
            for attempt in (
                lambda: of_a.run("again", lambda cursor: cursor.execute("INSERT INTO public.work VALUES (1)")),
                lambda: of_a.call("again", "INSERT INTO public.work VALUES (1) RETURNING term", {}),
                lambda: a.pass_is_over(of_a),
            ):
                with pytest.raises(OfficeLost, match="term 1 of housekeeping is over"):
                    attempt()
            assert connection.execute("SELECT count(*) FROM public.work").fetchone() == (0,)
        finally:
            may_end.set()
            for election in elections:
                election.stop()
            database.close()


class storing:  # noqa: N801 - used like a function
    """Instances of ever new studies come in for as long as the block lasts."""

    def __init__(self, database_uri: str, storage_directory: Path) -> None:
        self.count = 0
        self._intake = open_intake(settings_for(database_uri, storage_directory))
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "storing":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self._intake.close()

    def _run(self) -> None:
        while not self._over.wait(0.02):
            number = self.count + 1
            with self._intake.receive(Origin("RestApi", http_username="")) as reception:
                reception.write(instance_file(1, 1, patient=f"P{number}", study=number))
                reception.commit()
            self.count = number


def nothing_to_do(connection: psycopg.Connection) -> bool:
    found = connection.execute(
        "SELECT (SELECT count(*) FROM GlobalIntegersChanges), (SELECT count(*) FROM InvalidChildCounts),"
        " (SELECT count(*) FROM cluster.unstable_resources), (SELECT count(*) FROM Resources WHERE resourceType < 3)"
        " - (SELECT count(*) FROM Changes WHERE changeType IN (12, 13, 14))"
    ).fetchone()
    return found == (0, 0, 0, 0)
