"""Named queries from a package's `.sql` files.

A file holds blocks of a name line, comment lines (purpose, locks) and one statement::

    -- last_change --
    -- The highest sequence number that a reader may rely on.
    SELECT value FROM GlobalIntegers WHERE key = 6

The statements are PostgreSQL's. What SQLite needs said otherwise has a twin of the same name, parameters and columns in
``sql/sqlite/`` (`sqlite_text.py`), which is found by what a `Query` knows of itself.
"""

import re
from functools import cache
from importlib.resources import files
from typing import LiteralString, cast

_NAME = re.compile(r"^-- (\w+) --$", re.MULTILINE)


class Query(str):
    """The text of a named query for PostgreSQL, which knows where it comes from."""

    __slots__ = ("file", "name", "package")

    package: str
    file: str
    name: str

    def __new__(cls, text: str, package: str, file: str, name: str) -> "Query":
        query = super().__new__(cls, text)
        query.package, query.file, query.name = package, file, name
        return query


@cache
def queries(package: str, file: str) -> dict[str, LiteralString]:
    """The queries of `package`'s ``sql/<file>``, by name.

    The texts are part of the program, hence literal strings to the type checker; values are always bound.
    """
    texts = named_texts(files(package).joinpath("sql", file).read_text("utf-8"))
    return {name: cast(LiteralString, Query(text, package, file, name)) for name, text in texts.items()}


def named_texts(content: str) -> dict[str, str]:
    """Blocks of a file by name."""
    parts = _NAME.split(content)
    return dict(zip(parts[1::2], (part.strip() for part in parts[2::2]), strict=True))
