"""Sequences, items and fragments: where do they end?

All lengths and delimiters inside are checked, none of the values is read. The open containers are a list, not a
recursion, and MAXIMUM_DEPTH bounds it. Source: PS3.5, sections 6.2.2 (UN), 7.5 (sequences), A.4 (fragments).
"""

from typing import NamedTuple

from pydicom.datadict import DicomDictionary  # type: ignore[attr-defined]

from cluster.dicom.stream import (
    DELIMITER_GROUP,
    IMPLICIT_LITTLE,
    LONG_VRS,
    UNDEFINED_LENGTH,
    Coding,
    Header,
    Window,
    name,
    read_header,
    refuse_length,
)
from cluster.errors import NotDicom, TruncatedDicom

MAXIMUM_DEPTH = 64
"""Sequences within sequences; a data set that nests deeper is refused. Real objects stay below ten."""

PIXEL_DATA = 0x7FE00010
ITEM = 0xFFFEE000
ITEM_DELIMITATION = 0xFFFEE00D
SEQUENCE_DELIMITATION = 0xFFFEE0DD

_BULK_VRS = frozenset(b"OB OD OF OL OV OW".split())
CONTAINER_TAGS = frozenset(
    [tag for tag, entry in DicomDictionary.items() if entry[0] == "SQ"]
    + [ITEM, ITEM_DELIMITATION, SEQUENCE_DELIMITATION]
)
"""Tags that implicit VR cannot tell from ordinary ones, but that have to be entered (or must not occur)."""


class _Open(NamedTuple):
    """A container whose end has not been reached; `end` is its own or, if undefined, that of what encloses it."""

    tag: int
    is_item: bool
    end: int
    undefined: bool
    coding: Coding


def is_container(header: Header, coding: Coding) -> bool:
    """Does the element hold items or fragments rather than a value?"""
    return (
        header.length == UNDEFINED_LENGTH
        or header.vr == b"SQ"
        or header.tag >> 16 == DELIMITER_GROUP
        or (not coding.explicit and header.tag in CONTAINER_TAGS)
    )


def content_coding(header: Header, coding: Coding) -> Coding | None:
    """Coding of the items of a sequence; None if the element holds fragments.

    A UN of undefined length is a sequence in implicit VR whatever surrounds it (PS3.5, 6.2.2). Raises NotDicom.
    """
    if header.tag >> 16 == DELIMITER_GROUP:
        raise NotDicom(f"{name(header.tag)} at offset {header.value_at - 8}, outside of any sequence")
    if header.vr == b"SQ" or (not coding.explicit and header.tag != PIXEL_DATA):
        return coding
    if header.tag == PIXEL_DATA or header.vr in _BULK_VRS:
        return None
    if header.vr == b"UN" or header.vr not in LONG_VRS:
        return IMPLICIT_LITTLE
    raise NotDicom(f"{name(header.tag)} before offset {header.value_at}: no undefined length with VR {header.vr!r}")


def end_of_container(window: Window, header: Header, coding: Coding, end: int) -> int:
    """Offset behind an element for which `is_container` holds and which has to be complete before `end`.

    Raises TruncatedDicom and NotDicom.
    """
    inner = content_coding(header, coding)
    if inner is None:
        return _end_of_fragments(window, header, coding, end)
    stack = [_opened(header, is_item=False, enclosing_end=end, coding=inner)]
    position = header.value_at
    while stack:
        container = stack[-1]
        if position >= container.end:
            if container.undefined:
                raise TruncatedDicom(f"{name(container.tag)}: no delimiter before offset {container.end}")
            stack.pop()
            continue
        inside = read_header(window, position, container.coding, container.end)
        position = inside.value_at
        if inside.tag == (ITEM_DELIMITATION if container.is_item else SEQUENCE_DELIMITATION):
            if not container.undefined:
                raise NotDicom(f"{name(inside.tag)} before offset {position}, in a container of defined length")
            stack.pop()
        elif not container.is_item:
            if inside.tag != ITEM:
                raise NotDicom(f"{name(inside.tag)} before offset {position}, where an item is due")
            stack.append(_opened(inside, is_item=True, enclosing_end=container.end, coding=container.coding))
        elif is_container(inside, container.coding):
            inner = content_coding(inside, container.coding)
            if inner is None:
                position = _end_of_fragments(window, inside, container.coding, container.end)
                continue
            if len(stack) >= 2 * MAXIMUM_DEPTH:
                raise NotDicom(f"{name(inside.tag)} before offset {position}: nested more than {MAXIMUM_DEPTH} deep")
            stack.append(_opened(inside, is_item=False, enclosing_end=container.end, coding=inner))
        else:
            position = _end_of_value(inside, container.end)
    return position


def _opened(header: Header, *, is_item: bool, enclosing_end: int, coding: Coding) -> _Open:
    if header.length == UNDEFINED_LENGTH:
        return _Open(header.tag, is_item, enclosing_end, True, coding)
    return _Open(header.tag, is_item, _end_of_value(header, enclosing_end), False, coding)


def _end_of_value(header: Header, end: int) -> int:
    following = header.value_at + header.length
    if following > end:
        refuse_length(header.tag, header.value_at, header.length, end - header.value_at)
    return following


def _end_of_fragments(window: Window, header: Header, coding: Coding, end: int) -> int:
    position = header.value_at
    while position < end:
        fragment = read_header(window, position, coding, end)
        if fragment.tag == SEQUENCE_DELIMITATION:
            return fragment.value_at
        if fragment.tag != ITEM:
            raise NotDicom(f"{name(fragment.tag)} at offset {position}, where a fragment is due")
        position = _end_of_value(fragment, end)
    raise TruncatedDicom(f"{name(header.tag)}: fragments without sequence delimiter before offset {end}")
