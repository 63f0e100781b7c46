"""Constraints as SQL: a test of one column, with its values bound."""

from collections.abc import Iterable

from psycopg import sql

from cluster.database import Piece, filled_in, queries
from cluster.dicom.main_tags import normalise_identifier
from cluster.index.constraints import Constraint, OneOf, Range, Wildcard

_PIECES = queries("cluster.index", "find.sql")

_REGULAR_WILDCARDS = {"*": ".*", "?": "."}


class Bound:
    """The values of one statement."""

    def __init__(self) -> None:
        self.values: dict[str, object] = {}

    def bind(self, value: object) -> sql.Placeholder:
        """A placeholder for a value."""
        name = f"v{len(self.values)}"
        self.values[name] = value
        return sql.Placeholder(name)


def piece(name: str, **parts: sql.Composable) -> Piece:
    """One of the pieces of find.sql, filled in."""
    return filled_in(_PIECES[name], **parts)


def test_of_value(constraint: Constraint, column: sql.Composable, bound: Bound) -> sql.Composable:
    """A condition on a column that holds values as DICOM has them."""
    match constraint:
        case Range():
            return _range(constraint.lowest, constraint.highest, column, bound)
        case OneOf(values, is_case_sensitive):
            if is_case_sensitive:
                return _equal(values, column, bound)
            if all(value.isascii() for value in values):
                return _equal([value.lower() for value in values], piece("lower", value=column), bound)
            wanted = bound.bind(_either_case(values, {}))
            return piece("either_case_one_of", value=column, wanted=wanted, texts=bound.bind(list(values)))
        case Wildcard(pattern, is_case_sensitive):
            if is_case_sensitive:
                return piece("like", value=column, wanted=bound.bind(like_pattern(pattern)))
            if pattern.isascii():
                lowered = bound.bind(like_pattern(pattern.lower()))
                return piece("like", value=piece("lower", value=column), wanted=lowered)
            wanted = bound.bind(_either_case([pattern], _REGULAR_WILDCARDS))
            return piece("either_case_like", value=column, wanted=wanted, pattern=bound.bind(like_pattern(pattern)))
    raise TypeError(constraint)


def test_of_identifier(constraint: Constraint, column: sql.Composable, bound: Bound) -> sql.Composable:
    """A condition on a column that holds normalised identifiers: what is looked for is normalised likewise."""
    match constraint:
        case Range(lowest, highest):
            ends = [None if end is None else normalise_identifier(end) for end in (lowest, highest)]
            return _range(ends[0], ends[1], column, bound)
        case OneOf(values):
            return _equal([normalise_identifier(value) for value in values], column, bound)
        case Wildcard(pattern):
            normalised = like_pattern(normalise_identifier(pattern))
            return piece("like", value=column, wanted=bound.bind(normalised))
    raise TypeError(constraint)


def is_said_by_identifier(constraint: Constraint) -> bool:
    """Whether the normalised identifier alone decides (interop/tags.md 2, "How a search uses them").

    A search in which case matters never is decided by it: identifiers have lost their case.
    """
    match constraint:
        case Range(lowest, highest):
            return all(end is None or normalise_identifier(end) == end for end in (lowest, highest))
        case OneOf(values, is_case_sensitive):
            return not is_case_sensitive and all(normalise_identifier(value) == value for value in values)
        case Wildcard(pattern, is_case_sensitive):
            return not is_case_sensitive and normalise_identifier(pattern) == pattern
    raise TypeError(constraint)


def like_pattern(pattern: str) -> str:
    """`*` and `?` in LIKE's own words, everything else literally."""
    escaped = pattern.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return escaped.replace("*", "%").replace("?", "_")


def _equal(values: Iterable[str], column: sql.Composable, bound: Bound) -> sql.Composable:
    wanted = list(values)
    if len(wanted) == 1:
        return piece("equal", value=column, wanted=bound.bind(wanted[0]))
    return piece("one_of", value=column, wanted=bound.bind(wanted))


def _range(lowest: str | None, highest: str | None, column: sql.Composable, bound: Bound) -> sql.Composable:
    ends = [("at_least", lowest), ("at_most", highest)]
    tests = [piece(name, value=column, wanted=bound.bind(end)) for name, end in ends if end is not None]
    return sql.SQL(" AND ").join(tests)


def _either_case(texts: Iterable[str], special: dict[str, str]) -> str:
    """A regular expression (PostgreSQL's advanced ones) that matches the texts in any case."""
    alternatives = ("".join(special.get(character) or _class(character) for character in text) for text in texts)
    return f"^(?:{'|'.join(alternatives)})$"


def _class(character: str) -> str:
    cases = {character, *(other for other in (character.lower(), character.upper()) if len(other) == 1)}
    return "(?:" + "|".join(_literal(case) for case in sorted(cases)) + ")" if len(cases) > 1 else _literal(character)


def _literal(character: str) -> str:
    # Letters and digits have a meaning after a backslash; other ASCII characters have none after one.
    return "\\" + character if character.isascii() and not character.isalnum() else character
