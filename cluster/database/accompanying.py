"""Statements that somebody else wants in a transaction: those of a storage area beside those of the index."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, LiteralString, NamedTuple

import psycopg


class Statement(NamedTuple):
    """A statement whose result nobody needs, with its values."""

    text: LiteralString
    values: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Accompanying:
    """What is done in a transaction before and after its work; false if that is nothing."""

    first: Sequence[Statement] = ()
    last: Sequence[Statement] = ()

    def __bool__(self) -> bool:
        return bool(self.first or self.last)

    def do_first(self, cursor: psycopg.Cursor[Any]) -> None:
        """To be called right after BEGIN."""
        for text, values in self.first:
            cursor.execute(text, values)

    def do_last(self, cursor: psycopg.Cursor[Any]) -> None:
        """To be called right before COMMIT."""
        for text, values in self.last:
            cursor.execute(text, values)


ALONE = Accompanying()
