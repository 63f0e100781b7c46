"""The transaction runner against a real server: what is run again, what is not, and what it may assume."""

import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from prometheus_client import REGISTRY

from cluster.database import Database
from cluster.errors import (
    CommitUnknown,
    DatabaseRefused,
    DatabaseUnavailable,
    LockNotAvailable,
    ReadOnlyServer,
    SerializationConflict,
)
from tests.support.proxy import Proxy
from tests.support.settings import settings_for
from workers.local.children import wait_until


@pytest.fixture
def table(empty_database):
    with psycopg.connect(empty_database, autocommit=True) as connection:
        connection.execute("CREATE TABLE counter (name text PRIMARY KEY, value int)")
        connection.execute("INSERT INTO counter VALUES ('a', 0), ('b', 0)")
        yield connection


@pytest.fixture
def open_database(empty_database):
    opened = []

    def open_(uri=empty_database, *, budget=10.0, **postgresql):
        database = Database(settings_for(uri, postgresql=postgresql).postgresql, time_budget_seconds=budget)
        database.open()
        opened.append(database)
        return database

    yield open_
    for database in opened:
        database.close()


def value_of(connection, name):
    return connection.execute("SELECT value FROM counter WHERE name = %s", (name,)).fetchone()[0]


def retries(name, sqlstate):
    labels = {"transaction": name, "sqlstate": sqlstate}
    return REGISTRY.get_sample_value("orthanc_cluster_transaction_retries_total", labels) or 0


def test_work_is_committed(open_database, table):
    result = open_database().run("add", lambda c: c.execute("UPDATE counter SET value = 5 WHERE name = 'a'").rowcount)
    assert result == 1
    assert value_of(table, "a") == 5


@pytest.mark.parametrize(("mode", "level"), [("ReadCommitted", "read committed"), ("Serializable", "serializable")])
def test_transaction_mode_is_what_postgresql_runs(open_database, mode, level):
    database = open_database(TransactionMode=mode)
    assert database.run("look", lambda c: c.execute("SHOW transaction_isolation").fetchone()[0]) == level
    assert database.call("look", "SELECT current_setting('transaction_isolation')", {}) == [(level,)]
    # A reader is in nobody's way.
    reading = database.run("look", lambda c: c.execute("SHOW transaction_isolation").fetchone()[0], read_only=True)
    assert reading == {"ReadCommitted": "read committed", "Serializable": "repeatable read"}[mode]
    assert database.run("look", lambda c: c.execute("SHOW jit").fetchone()[0]) == "off"


def test_two_serializable_increments_both_count(open_database, table):
    # Given both have read the same value
    barrier = threading.Barrier(2, timeout=10)
    first = threading.local()

    def increment(cursor):
        value = cursor.execute("SELECT sum(value) FROM counter").fetchone()[0]
        if not hasattr(first, "passed"):
            first.passed = True
            barrier.wait()
        cursor.execute("UPDATE counter SET value = %s WHERE name = 'a'", (value + 1,))

    database = open_database(TransactionMode="Serializable")
    before = retries("increment", "40001")
    # When they write what follows from it
    threads = [threading.Thread(target=database.run, args=("increment", increment)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # Then the loser ran again on the winner's value, and was counted
    assert value_of(table, "a") == 2
    assert retries("increment", "40001") > before


def test_deadlock_is_run_again(open_database, table):
    barrier = threading.Barrier(2, timeout=10)

    def updater(first, second):
        met = []

        def work(cursor):
            cursor.execute("UPDATE counter SET value = value + 1 WHERE name = %s", (first,))
            if not met:
                met.append(True)
                barrier.wait()
            cursor.execute("UPDATE counter SET value = value + 1 WHERE name = %s", (second,))

        return work

    database = open_database()
    threads = [
        threading.Thread(target=database.run, args=("cross", updater(*order))) for order in (("a", "b"), ("b", "a"))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (value_of(table, "a"), value_of(table, "b")) == (2, 2)
    assert retries("cross", "40P01") >= 1


def test_permanent_error_fails_at_once(open_database, table):
    attempts = []

    def work(cursor):
        attempts.append(1)
        cursor.execute("INSERT INTO counter VALUES ('a', 1)")

    with pytest.raises(DatabaseRefused) as raised:
        open_database().run("insert", work)
    assert raised.value.sqlstate == "23505"
    assert len(attempts) == 1


def test_lock_timeout_is_bounded_by_the_budget(open_database, table):
    with psycopg.connect(table.info.dsn, password=table.info.password) as holder:
        holder.execute("UPDATE counter SET value = 1 WHERE name = 'a'")

        def work(cursor):
            cursor.execute("SET LOCAL lock_timeout = '50ms'")
            cursor.execute("UPDATE counter SET value = 2 WHERE name = 'a'")

        started = time.monotonic()
        with pytest.raises(LockNotAvailable):
            open_database(budget=0.5).run("locked", work)
        assert 0.05 < time.monotonic() - started < 3


def test_attempts_are_bounded_too(open_database):
    attempts = []

    def work(cursor):
        attempts.append(1)
        cursor.execute("DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '57P03'; END $$")

    with pytest.raises(DatabaseUnavailable, match="57P03"):
        open_database(MaximumConnectionRetries=3).run("always", work)
    assert len(attempts) == 4


def test_conflicts_are_bounded_by_time_only(open_database):
    attempts = []

    def work(cursor):
        attempts.append(1)
        if len(attempts) < 8:
            cursor.execute("DO $$ BEGIN RAISE serialization_failure; END $$")

    open_database(MaximumConnectionRetries=3).run("now and then", work)
    assert len(attempts) == 8
    with pytest.raises(SerializationConflict):
        open_database(MaximumConnectionRetries=3, budget=0.3).run(
            "always", lambda cursor: cursor.execute("DO $$ BEGIN RAISE serialization_failure; END $$")
        )


@pytest.mark.parametrize("mode", ["ReadCommitted", "Serializable"])
def test_those_who_take_turns_do_not_conflict(open_database, table, mode):
    """Under Serializable a lock that a query takes comes after the snapshot, and whoever waited for it has to fail."""
    table.execute("CREATE TABLE turns ()")
    table.execute("CREATE TABLE log (entry integer)")
    name = f"turns {mode}"

    def work(cursor):
        [(seen,)] = cursor.execute("SELECT count(*) FROM log").fetchall()
        cursor.execute("INSERT INTO log VALUES (%s)", (seen,))

    database = open_database(TransactionMode=mode, IndexConnectionsCount=8)
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda _: database.run(name, work, turns="public.turns"), range(64)))
    assert table.execute("SELECT count(*) FROM log").fetchone() == (64,)
    if mode == "Serializable":
        assert sorted(entry for (entry,) in table.execute("SELECT entry FROM log")) == list(range(64))
        assert retries(name, "40001") == 0


def test_read_only_server_is_transient(open_database, table, empty_database):
    # A standby answers 25006, and so does a database told to.
    name = table.info.dbname
    table.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    database = open_database(budget=0.3)
    with pytest.raises(ReadOnlyServer):
        # BEGIN … READ WRITE would override the default, as it would not on a standby.
        database.run("write", lambda c: c.execute("SET transaction_read_only = on; DELETE FROM counter"))
    assert retries("write", "25006") >= 1


def test_terminated_backend_is_replaced_and_work_run_again(open_database, table):
    database = open_database()
    killed = []

    def work(cursor):
        cursor.execute("UPDATE counter SET value = value + 1 WHERE name = 'a'")
        if not killed:
            killed.append(cursor.execute("SELECT pg_backend_pid()").fetchone()[0])
            table.execute("SELECT pg_terminate_backend(%s)", (killed[0],))
            # From PostgreSQL 14 on that function can wait itself.
            alive = "SELECT FROM pg_stat_activity WHERE pid = %s"
            assert wait_until(lambda: table.execute(alive, (killed[0],)).fetchone() is None, 5)
            cursor.execute("SELECT 1")

    database.run("killed", work)
    assert value_of(table, "a") == 1
    assert retries("killed", "57P01") >= 1


def through(proxy, uri):
    parts = psycopg.conninfo.conninfo_to_dict(uri) | {"host": "127.0.0.1", "port": str(proxy.port)}
    user, password, name = parts["user"], parts["password"], parts["dbname"]
    return f"postgresql://{user}:{password}@127.0.0.1:{proxy.port}/{name}?sslmode=disable"


@pytest.fixture
def proxy(empty_database):
    parts = psycopg.conninfo.conninfo_to_dict(empty_database)
    with Proxy(parts["host"], int(parts["port"])) as proxy:
        yield proxy


def test_lost_answer_to_commit_runs_again_and_tells_if_that_is_the_end(open_database, table, proxy, empty_database):
    # Given a connection that breaks between COMMIT and its answer, and a server that then cannot be reached
    database = open_database(through(proxy, empty_database), budget=1.5, IndexConnectionsCount=1)
    database.run("warm-up", lambda c: c.execute("SELECT 1"))

    def work(cursor):
        cursor.execute("UPDATE counter SET value = value + 1 WHERE name = 'a'")
        proxy.refuse()

    proxy.swallow_answer_after(b"COMMIT\0")  # not READ COMMITTED
    # When the unit of work ends
    with pytest.raises(CommitUnknown):
        database.run("unknown", work)
    # Then it did happen, although every later attempt failed
    assert proxy.swallowed.is_set()
    assert value_of(table, "a") == 1


def test_call_with_lost_answer_is_run_again(open_database, table, proxy, empty_database):
    database = open_database(through(proxy, empty_database))
    proxy.swallow_answer_after(b"counter")
    statement = "UPDATE counter SET value = value + 1 WHERE name = 'a' RETURNING value"
    [(value,)] = database.call("call", statement, {})
    # A statement that may not run twice would have: the reason why public ids make ingest safe.
    assert proxy.swallowed.is_set()
    assert value == value_of(table, "a") == 2


def test_call_is_one_transaction(open_database, table):
    database = open_database()
    with pytest.raises(DatabaseRefused):
        database.call("half", "WITH u AS (UPDATE counter SET value = 9 RETURNING 1) SELECT 1 / 0 FROM u", {})
    assert value_of(table, "a") == 0
    # and the connection is as good as new
    assert database.call("whole", "SELECT 1", {}) == [(1,)]


def test_outage_shorter_than_the_budget_is_only_a_delay(open_database, table, proxy, empty_database):
    database = open_database(through(proxy, empty_database), budget=20)
    database.run("warm-up", lambda c: c.execute("SELECT 1"))
    proxy.refuse()
    proxy.cut()
    back = threading.Timer(1.0, proxy.refuse, args=(False,))
    back.start()
    started = time.monotonic()
    database.run("add", lambda c: c.execute("UPDATE counter SET value = 7 WHERE name = 'a'"))
    back.join()
    assert value_of(table, "a") == 7
    assert time.monotonic() - started < 10


def test_unreachable_server_is_given_up_within_the_budget_and_says_why(open_database):
    started = time.monotonic()
    with pytest.raises(DatabaseUnavailable, match="refused"):
        open_database("postgresql://nobody@127.0.0.1:1/none", budget=1.0).run("never", lambda c: None)
    assert time.monotonic() - started < 5


def test_pool_refuses_to_be_used_after_fork(open_database):
    database = open_database()
    database.run("parent", lambda c: c.execute("SELECT 1"))
    pid = os.fork()
    if pid == 0:
        try:
            database.run("child", lambda c: None)
        except RuntimeError:
            os._exit(17)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 17


def test_no_session_state_is_left_behind(open_database, table):
    # Two units of work on the one connection of a pool of one
    database = open_database(IndexConnectionsCount=1)
    state = "SELECT current_setting('search_path'), current_setting('lock_timeout')"
    within = database.run("first", lambda c: c.execute(state).fetchone())
    assert within == ("public", "10s")
    connection = database._pool.take(5)
    try:
        assert connection.execute(state).fetchone() == ('"$user", public', "0")
        assert connection.execute("SELECT count(*) FROM pg_prepared_statements").fetchone() == (0,)
    finally:
        database._pool.give_back(connection)
