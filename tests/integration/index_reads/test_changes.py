"""The log of changes, against interop/rest.md 7 and the invariant of cluster/index/changes.py."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from cluster.database import Database
from cluster.dicom.levels import Level
from cluster.index.changes import changes_since, changes_until
from cluster.index.enumerations import ChangeType
from cluster.index.store_instances import store_instances
from tests.integration.index_reads.conftest import Sql, Store, instance_rows


def numbers(page):
    return [change.seq for change in page.changes]


def test_empty_log(database: Database) -> None:
    page = changes_since(database, 0, 10)
    assert (page.changes, page.done, page.last) == ((), True, 0)
    page = changes_until(database, 10)
    assert (page.changes, page.done, page.last) == ((), True, 0)


def test_changes_of_one_instance(database: Database, store: Store) -> None:
    ids = store()
    page = changes_since(database, 0, 10)
    assert [(change.change_type, change.level, change.public_id) for change in page.changes] == [
        (ChangeType.NEW_INSTANCE, Level.INSTANCE, ids.instance),
        (ChangeType.NEW_SERIES, Level.SERIES, ids.series),
        (ChangeType.NEW_STUDY, Level.STUDY, ids.study),
        (ChangeType.NEW_PATIENT, Level.PATIENT, ids.patient),
    ]
    assert page.done


def test_pages_end_where_the_next_one_begins(database: Database, store: Store) -> None:
    for _ in range(5):
        store()
    everything = numbers(changes_since(database, 0, 1000))
    assert len(everything) == 4 + 4
    seen: list[int] = []
    page = changes_since(database, 0, 3)
    while not page.done:
        assert len(page.changes) == 3
        seen += numbers(page)
        page = changes_since(database, page.last, 3)
    assert seen + numbers(page) == everything
    # Nothing new: the reader stays where it is.
    assert changes_since(database, page.last, 3).last == page.last


def test_a_page_that_is_exactly_full_is_done(database: Database, store: Store) -> None:
    store()
    assert changes_since(database, 0, 4).done
    assert not changes_since(database, 0, 3).done


def test_the_last_changes_come_in_ascending_order(database: Database, store: Store) -> None:
    store()
    everything = numbers(changes_since(database, 0, 100))
    page = changes_until(database, 2)
    assert (numbers(page), page.done, page.last) == (everything[-2:], False, everything[-1])
    page = changes_until(database, 2, to=everything[2])
    assert (numbers(page), page.last) == (everything[1:3], everything[2])
    assert changes_until(database, 4).done


def test_window_and_types(database: Database, store: Store) -> None:
    store()
    everything = numbers(changes_since(database, 0, 100))
    assert numbers(changes_since(database, everything[0], 100, to=everything[2])) == everything[1:3]
    page = changes_since(database, 0, 100, types=[ChangeType.NEW_STUDY, ChangeType.NEW_SERIES])
    assert numbers(page) == everything[1:3]
    # Nothing of that type: a reader may go on from the end of the log.
    page = changes_since(database, 0, 100, types=[ChangeType.STABLE_STUDY])
    assert (page.changes, page.done, page.last) == ((), True, everything[-1])


def test_last_stays_when_the_rows_go(database: Database, store: Store, sql: Sql) -> None:
    store()
    last = changes_since(database, 0, 100).last
    sql("DELETE FROM Changes")
    page = changes_since(database, 0, 100)
    assert (page.changes, page.last) == ((), last)


def test_a_page_has_at_least_one_change(database: Database) -> None:
    with pytest.raises(ValueError, match="skip"):
        changes_since(database, 0, 0)


def test_a_follower_sees_every_change_once_in_order_while_others_write(database: Database, sql: Sql) -> None:
    # Given eight writers, of which some add to the same series
    batches = [
        [[instance_rows(SeriesInstanceUID=f"2.25.{writer % 3}", InstanceNumber=n) for n in range(3)] for _ in range(8)]
        for writer in range(8)
    ]

    def write(work):
        for batch in work:
            store_instances(database, "Never", batch)

    # When somebody follows the log meanwhile, in pages too small to catch up at once
    seen: list[int] = []
    last = 0
    with ThreadPoolExecutor(len(batches)) as writers:
        writing = [writers.submit(write, work) for work in batches]
        while True:
            finished = all(future.done() for future in writing)
            page = changes_since(database, last, 5)
            assert page.last >= last
            seen += numbers(page)
            last = page.last
            if finished and page.done:
                break
    for future in writing:
        future.result()
    # Then nothing was missed, repeated or out of order
    assert seen == [seq for (seq,) in sql("SELECT seq FROM Changes ORDER BY seq")]
    assert len(seen) >= 8 * 8 * 3
