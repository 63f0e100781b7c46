"""Totals and housekeeping, against interop/schema.md 5 and 11."""

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from cluster.database import Database
from cluster.dicom.levels import Level
from cluster.index.deletion import delete_resource
from cluster.index.statistics import (
    Statistics,
    count_lock_waits,
    count_missing_children,
    fold_statistics,
    read_statistics,
    recount_children,
)
from cluster.index.store_instances import store_instances
from tests.integration.index_reads.conftest import Keep, Sql, Store, instance_rows
from tests.support.indices import only_on_postgresql
from workers.local.children import wait_until


def eventually(condition: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not become true in time"
        time.sleep(0.01)


def counted(sql: Sql) -> Statistics:
    """The truth, from the tables themselves."""
    sizes = sql("SELECT coalesce(sum(compressedSize), 0), coalesce(sum(uncompressedSize), 0) FROM AttachedFiles")
    counts = dict(sql("SELECT resourceType, count(*) FROM Resources GROUP BY resourceType"))
    return Statistics(*sizes[0], *(counts.get(level, 0) for level in range(4)))


def test_empty_index(database: Database) -> None:
    assert read_statistics(database) == Statistics(0, 0, 0, 0, 0, 0)


def test_exact_before_and_after_folding_and_after_deletion(
    database: Database, store: Store, sql: Sql, index: str
) -> None:
    ids = store()
    store(StudyInstanceUID="2.25.7", SeriesInstanceUID="2.25.8")
    truth = counted(sql)
    assert (truth.patients, truth.studies, truth.series, truth.instances) == (1, 2, 2, 2)
    assert read_statistics(database) == truth
    fold_statistics(database)
    if index == "postgresql":
        assert sql("SELECT count(*) FROM GlobalIntegersChanges") == [(0,)]
    assert read_statistics(database) == truth

    delete_resource(database, Level.STUDY, ids.study)
    assert counted(sql).studies == 1
    assert read_statistics(database) == counted(sql)


def test_exact_while_others_write_and_fold(database: Database, sql: Sql, housekeeping: Keep) -> None:
    batches = [[instance_rows(PatientID=f"P{n}") for _ in range(4)] for n in range(20)]

    def write() -> None:
        for batch in batches:
            store_instances(database, "Never", batch)

    writers = ThreadPoolExecutor(1)
    keepers = [housekeeping(0.001) for _ in range(2)]
    for keeper in keepers:
        keeper.start()
    writing = writers.submit(write)
    seen = [0]
    while not writing.done():
        seen.append(read_statistics(database).instances)
    writing.result()
    writers.shutdown()
    for keeper in keepers:
        keeper.stop()
    # Each batch is seen whole and once, and nothing that was seen is ever lost.
    assert seen == sorted(seen)
    assert all(count % 4 == 0 for count in seen)
    assert read_statistics(database) == counted(sql)


@only_on_postgresql("what is folded there")
def test_reading_does_not_wait_for_who_folds(database: Database, store: Store, sql: Sql) -> None:
    store()
    sql("BEGIN")
    sql("SELECT * FROM UpdateStatistics()")
    assert read_statistics(database).instances == 1
    sql("COMMIT")


@only_on_postgresql("SQLite stores no child counts")
def test_housekeeping_keeps_child_counts(database: Database, store: Store, sql: Sql) -> None:
    for _ in range(3):
        ids = store()
    assert sql("SELECT childCount FROM Resources WHERE publicId = %s", ids.series) == [(0,)]
    assert recount_children(database) == 3
    assert sql("SELECT childCount FROM Resources ORDER BY resourceType") == [(1,), (1,), (3,), (0,), (0,), (0,)]
    assert recount_children(database) == 0


@only_on_postgresql("SQLite stores no child counts")
def test_child_counts_of_an_upgraded_database_are_filled(database: Database, store: Store, sql: Sql) -> None:
    store()
    sql("UPDATE Resources SET childCount = NULL")
    assert count_missing_children(database, 2) == 2
    assert count_missing_children(database, 2) == 1
    assert count_missing_children(database, 2) == 0


@only_on_postgresql("what is folded and counted there")
def test_housekeeping_does_everything_at_its_first_pass(store: Store, sql: Sql, housekeeping: Keep) -> None:
    store()
    sql("UPDATE Resources SET childCount = NULL WHERE resourceType = 0")
    keeper = housekeeping(3600)
    keeper.start()
    eventually(
        lambda: (
            sql("SELECT count(*) FROM GlobalIntegersChanges") == [(0,)]
            and sql("SELECT count(*) FROM InvalidChildCounts") == [(0,)]
            and sql("SELECT count(*) FROM Resources WHERE childCount IS NULL") == [(0,)]
        )
    )
    started = time.monotonic()
    keeper.stop()
    assert time.monotonic() - started < 5, "stop waits for no interval"


@only_on_postgresql("a function that fails")
def test_a_failure_is_logged_and_tried_again(
    store: Store, sql: Sql, housekeeping: Keep, caplog: pytest.LogCaptureFixture
) -> None:
    store()
    sql("ALTER FUNCTION UpdateStatistics RENAME TO Elsewhere")
    keeper = housekeeping(0.01)
    with caplog.at_level(logging.WARNING):
        keeper.start()
        eventually(lambda: "fold_statistics failed" in caplog.text)
    # The other task was not kept from its work
    eventually(lambda: sql("SELECT count(*) FROM InvalidChildCounts") == [(0,)])
    sql("ALTER FUNCTION Elsewhere RENAME TO UpdateStatistics")
    eventually(lambda: sql("SELECT count(*) FROM GlobalIntegersChanges") == [(0,)])
    keeper.stop()


def test_housekeeping_that_never_started_can_be_stopped(housekeeping: Keep) -> None:
    housekeeping(1).stop()


@only_on_postgresql("sessions of a server")
def test_sessions_that_wait_for_a_lock_are_counted(database: Database, sql: Sql, database_uri: str) -> None:
    assert count_lock_waits(database) == 0
    with psycopg.connect(database_uri) as holder, psycopg.connect(database_uri) as waiter:
        holder.execute("LOCK TABLE GlobalIntegers")
        thread = threading.Thread(target=lambda: waiter.execute("SELECT FROM GlobalIntegers"))
        thread.start()
        assert wait_until(lambda: count_lock_waits(database) == 1, 10)
        holder.rollback()
        thread.join()
    assert count_lock_waits(database) == 0
