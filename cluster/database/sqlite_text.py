"""What SQLite is told in place of a query that is written for PostgreSQL.

A file ``sql/sqlite/<file>`` beside ``sql/<file>`` holds twins: same name, same parameters (``:name``), same columns.
Where PostgreSQL's statement means the same to SQLite, one line says so::

    -- same as PostgreSQL's: list_labels, remove_label

A query that is in neither list is not served on SQLite, and says so when it is asked for.
"""

import re
from collections.abc import Iterator
from functools import cache
from importlib.resources import files

from psycopg import sql

from cluster.database.composition import Piece
from cluster.database.queries import Query, named_texts
from cluster.errors import NotServedHere

_SAME = re.compile(r"^-- same as PostgreSQL's: (.*)$", re.MULTILINE)
_PARAMETER = re.compile(r"%\((\w+)\)s")


class Step(str):
    """A statement of a procedure, written for SQLite alone."""

    __slots__ = ()


@cache
def steps(package: str, file: str) -> dict[str, Step]:
    """What ``sql/sqlite/<file>`` holds, by name, for a procedure that is made of it."""
    return {name: Step(text) for name, text in twins(package, file).items() if text is not None}


@cache
def twins(package: str, file: str) -> dict[str, str | None]:
    """Twins of a file's queries by name; None where PostgreSQL's text serves."""
    twin_file = files(package).joinpath("sql", "sqlite", file)
    if not twin_file.is_file():
        return {}
    content = twin_file.read_text("utf-8")
    same = {name: None for names in _SAME.findall(content) for name in names.split(", ")}
    return {**same, **named_texts(content)}


def sqlite_text(query: object) -> str:
    """The statement for SQLite.

    Raises:
        NotServedHere: nobody has written it.
    """
    if isinstance(query, Query):
        return _text_of(query)
    return query if isinstance(query, Step) else "".join(_rendered(query))


@cache
def _text_of(query: Query) -> str:
    known = twins(query.package, query.file)
    if query.name not in known:
        raise NotServedHere(f"{query.file}: {query.name} is not served on the SQLite index; it needs PostgreSQL")
    twin = known[query.name]
    return _PARAMETER.sub(r":\1", query) if twin is None else twin


def _rendered(part: object) -> Iterator[str]:
    match part:
        case Piece():
            parts = {name: "".join(_rendered(inner)) for name, inner in part.parts.items()}
            yield _text_of(part.query).format_map(parts)
        case Query():
            yield _text_of(part)
        case sql.Composed():
            for inner in part:
                yield from _rendered(inner)
        case sql.Placeholder():
            yield _PARAMETER.sub(r":\1", part.as_string(None))
        case sql.Composable():
            yield part.as_string(None)
        case _:
            raise TypeError(f"not a named query, so nobody knows what it means to SQLite: {part!r}")
