"""Finds resources: pages of public ids, or their number.

A page is one statement, a transaction of its own, and begins behind the last id of the one before; so what is there all
the time is found exactly once, however slowly a client reads. A sorted result is one statement as a whole and therefore
limited: where it would continue nobody could say after a change.
"""

from collections.abc import Iterator

import psycopg
from psycopg import sql

from cluster.database import Database, Piece, Row
from cluster.errors import UnusableQuery
from cluster.index.conditions import Conditions
from cluster.index.search import Search
from cluster.index.value_tests import piece

IDS_PER_PAGE = 10_000

MAXIMUM_SORTED = 200_000
"""Ids of one sorted result: more has to be asked for in parts."""


def find(database: Database, search: Search, since: int = 0, limit: int | None = None) -> Iterator[list[str]]:
    """Pages of public ids that fulfil the conditions on what is in the index, leaving out the first `since`.

    Ascending by id, or as the search says; at most `limit` ids altogether.

    Raises:
        UnusableQuery: the result cannot be sorted so, or is too long to be sorted.
    """
    if search.order:
        yield _sorted(database, search, since, limit)
        return
    after, left = "", limit
    while left is None or left > 0:
        wanted = IDS_PER_PAGE if left is None else min(IDS_PER_PAGE, left)
        ids = _page(database, search, (after, since, wanted))
        yield ids
        if len(ids) < wanted:
            return
        after, since = ids[-1], 0
        left = None if left is None else left - len(ids)


def count(database: Database, search: Search) -> int:
    """How many resources fulfil the conditions on what is in the index."""
    conditions = Conditions(search)
    statement = piece(
        "count_ids",
        found=conditions.found,
        joins=conditions.joins,
        conditions=conditions.wheres,
        level=conditions.bound.bind(int(search.level)),
    )
    [(number,)] = _rows(database, "count_resources", statement, conditions)
    return int(number)


def _sorted(database: Database, search: Search, since: int, limit: int | None) -> list[str]:
    wanted = MAXIMUM_SORTED + 1 if limit is None else min(limit, MAXIMUM_SORTED + 1)
    ids = _page(database, search, ("", since, wanted))
    if len(ids) > MAXIMUM_SORTED:
        raise UnusableQuery(f"more than {MAXIMUM_SORTED} results are not sorted; give a limit")
    return ids


def _page(database: Database, search: Search, window: tuple[str, int, int]) -> list[str]:
    conditions = Conditions(search)
    bind = conditions.bound.bind
    after, offset, limit = window
    is_lazy = conditions.has_late and not search.order
    parts: dict[str, sql.Composable] = {
        "found": conditions.found,
        "joins": conditions.joins,
        "level": bind(int(search.level)),
        "after": bind(after),
        "limit": bind(limit),
        "offset": bind(offset),
    }
    if is_lazy:
        statement = piece("find_ids_lazily", conditions=conditions.early, late=conditions.late, **parts)
    else:
        statement = piece("find_ids", conditions=conditions.wheres, order=conditions.order, **parts)
    return [public_id for (public_id,) in _rows(database, "find_resources", statement, conditions)]


def _rows(database: Database, name: str, statement: Piece, conditions: Conditions) -> list[Row]:
    def work(cursor: psycopg.Cursor[Row]) -> list[Row]:
        return cursor.execute(statement, conditions.bound.values).fetchall()

    return database.run(name, work, read_only=True)
