"""Named queries from a package's `.sql` files.

A file holds blocks of a name line, comment lines (purpose, locks) and one statement::

    -- last_change --
    -- The highest sequence number that a reader may rely on.
    SELECT value FROM GlobalIntegers WHERE key = 6
"""

import re
from functools import cache
from importlib.resources import files
from typing import LiteralString, cast

_NAME = re.compile(r"^-- (\w+) --$", re.MULTILINE)


@cache
def queries(package: str, file: str) -> dict[str, LiteralString]:
    """The queries of `package`'s ``sql/<file>``, by name.

    The texts are part of the program, hence literal strings to the type checker; values are always bound.
    """
    parts = _NAME.split(files(package).joinpath("sql", file).read_text("utf-8"))
    texts = dict(zip(parts[1::2], (part.strip() for part in parts[2::2]), strict=True))
    return cast(dict[str, LiteralString], texts)
