"""From the text of a query to what it asks of a value (interop/tags.md 2)."""

import fnmatch
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.errors import UnusableQuery
from cluster.index.constraints import OneOf, Range, Wildcard, tag_constraint

NAME, UID, DATE, NUMBER, SEQUENCE = (
    (0x0010, 0x0010),
    (0x0020, 0x000D),
    (0x0008, 0x0020),
    (0x0020, 0x0013),
    (0x0040, 0x0275),
)


def test_kinds() -> None:
    assert tag_constraint(NAME, "", False) is None
    assert tag_constraint(NAME, "a", False) == OneOf(("a",), False)
    assert tag_constraint(NAME, "a-b", True) == OneOf(("a-b",), True)
    assert tag_constraint(NAME, "a\\b\\a", True) == OneOf(("a", "b"), True)
    assert tag_constraint(NAME, "a*", False) == Wildcard("a*", False)
    assert tag_constraint(DATE, "1-2", False) == Range("1", "2")
    assert tag_constraint(DATE, "1-", False) == Range("1", None)
    assert tag_constraint(DATE, "-2", False) == Range(None, "2")
    assert tag_constraint(DATE, "-", False) is None
    assert tag_constraint(DATE, "1-2-3", False) == Range("1", "2-3")
    assert tag_constraint(UID, "1.2\\1.3", True) == OneOf(("1.2", "1.3"), True)


def test_what_cannot_be_asked() -> None:
    for tag, text in ((UID, "1*"), (DATE, "1?"), (DATE, "1*-2"), (NUMBER, "*"), (NAME, "a*\\b"), (SEQUENCE, "a")):
        with pytest.raises(UnusableQuery):
            tag_constraint(tag, text, False)


@given(st.text("ab*?", max_size=8), st.text("abAB", max_size=8), st.booleans())
def test_wildcards_match_as_those_of_file_names_do(pattern: str, value: str, is_case_sensitive: bool) -> None:
    expected = (
        fnmatch.fnmatchcase(value, pattern)
        if is_case_sensitive
        else fnmatch.fnmatchcase(value.lower(), pattern.lower())
    )
    assert Wildcard(pattern, is_case_sensitive).matches(value) is expected


def test_many_stars_take_no_time() -> None:
    began = time.monotonic()
    assert not Wildcard("*a" * 100 + "*b", False).matches("a" * 2000)
    assert time.monotonic() - began < 5
