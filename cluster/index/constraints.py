"""What a search asks of one value: from the text of a query to a constraint (interop/tags.md 2).

Nothing here knows SQL or files; `conditions.py` asks the index, `Constraint.matches` a value that was read from a file.
"""

from dataclasses import dataclass

from cluster.dicom.main_tags import Tag
from cluster.dicom.tag_names import hexadecimal
from cluster.dicom.values import dictionary_vr
from cluster.errors import UnusableQuery

_RANGE_VRS = frozenset((b"DA", b"TM", b"DT"))
_WILDCARD_VRS = frozenset(b"AE CS LO LT PN SH ST UC UR UT".split())


class Constraint:
    """What a value has to be like. Case-insensitive ones hold what they look for as it was written."""

    is_case_sensitive: bool

    def matches(self, value: str) -> bool:
        """Whether a value fits."""
        raise NotImplementedError


@dataclass(frozen=True)
class OneOf(Constraint):
    """Equal to one of some values."""

    values: tuple[str, ...]
    is_case_sensitive: bool = True

    def matches(self, value: str) -> bool:
        """Equality, of lower-case text if case does not matter."""
        if self.is_case_sensitive:
            return value in self.values
        return any(value.lower() == wanted.lower() for wanted in self.values)


@dataclass(frozen=True)
class Range(Constraint):
    """Between two texts, both included; None where it is open. Case never matters: it is for dates and times."""

    lowest: str | None
    highest: str | None
    is_case_sensitive: bool = True

    def matches(self, value: str) -> bool:
        """Order of code points."""
        return (self.lowest is None or self.lowest <= value) and (self.highest is None or value <= self.highest)


@dataclass(frozen=True)
class Wildcard(Constraint):
    """`*` stands for any text, also none, and `?` for one character."""

    pattern: str
    is_case_sensitive: bool = True

    def matches(self, value: str) -> bool:
        """The whole value has to fit.

        Greedy, and back to the last star only: a regular expression would take time that grows with a power of the
        number of stars.
        """
        pattern = self.pattern
        if not self.is_case_sensitive:
            pattern, value = pattern.lower(), value.lower()
        at = star = resumed = 0
        position = 0
        seen_star = False
        while position < len(value):
            if at < len(pattern) and pattern[at] == "*":
                seen_star, star, resumed = True, at, position
                at += 1
            elif at < len(pattern) and pattern[at] in ("?", value[position]):
                at += 1
                position += 1
            elif seen_star:
                resumed += 1
                at, position = star + 1, resumed
            else:
                return False
        return not pattern[at:].strip("*")


def tag_constraint(tag: Tag, text: str, is_case_sensitive: bool) -> Constraint | None:
    """What the text of a query asks of a tag; None if it asks nothing.

    Raises:
        UnusableQuery: wildcards where the tag's VR has none, or a sequence.
    """
    vr = dictionary_vr(tag[0] << 16 | tag[1])
    if vr == b"SQ":
        raise UnusableQuery(f"the tag {hexadecimal(tag)} is a sequence: it cannot be searched for")
    if not text:
        return None
    has_wildcards = "*" in text or "?" in text
    if has_wildcards and ("\\" in text or vr not in _WILDCARD_VRS):
        raise UnusableQuery(f"Wildcards are not allowed on tag {hexadecimal(tag)}, nor in lists of values")
    if "-" in text and vr in _RANGE_VRS:
        lowest, _, highest = text.partition("-")
        return Range(lowest or None, highest or None) if lowest or highest else None
    if "\\" in text:
        return OneOf(tuple(dict.fromkeys(text.split("\\"))), is_case_sensitive)
    return Wildcard(text, is_case_sensitive) if has_wildcards else OneOf((text,), is_case_sensitive)


def metadata_constraint(text: str, is_case_sensitive: bool) -> Constraint | None:
    """What the text of a query asks of a metadata value, where wildcards are always allowed (interop/rest.md 8)."""
    if not text:
        return None
    if "*" in text or "?" in text:
        return Wildcard(text, is_case_sensitive)
    return OneOf((text,), is_case_sensitive)
