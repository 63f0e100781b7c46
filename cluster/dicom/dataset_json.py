"""Data elements as the JSON of ``GET /instances/{id}/tags`` (interop/rest.md 4).

``{"gggg,eeee": {"Name", "Type", "Value"}}``; Type is String, Null (binary, or no text), TooLong (over 256 bytes of
UTF-8) or Sequence, whose Value is an array of such objects. A value is read only if it can be shown, so an object of
any size takes the memory of its header.
"""

from collections.abc import Collection
from typing import Any

from cluster.dicom.character_sets import CharacterSet
from cluster.dicom.nesting import (
    ITEM_DELIMITATION,
    MAXIMUM_DEPTH,
    PIXEL_DATA,
    SEQUENCE_DELIMITATION,
    content_coding,
    end_of_container,
    is_container,
)
from cluster.dicom.stream import UNDEFINED_LENGTH, Coding, Header, Window, read_header, refuse_length
from cluster.dicom.tag_names import hexadecimal, keyword_of
from cluster.dicom.values import dictionary_vr, exceeds_limit, text_of
from cluster.errors import NotDicom

Json = dict[str, Any]

MAXIMUM_READ_BYTES = 64 * 1024
"""A value of more bytes is too long to be shown, whatever it is, unless it is asked for."""

MAXIMUM_ASKED_BYTES = 16 * 1024 * 1024
"""Of a value whose length is to be ignored."""

_NULL: Json = {"Type": "Null", "Value": None}
_TOO_LONG: Json = {"Type": "TooLong", "Value": None}
_TEXT_VRS = frozenset(b"AE AS CS DA DS DT IS LO LT PN SH ST TM UC UI UR UT".split())


class JsonReader:
    """Reads one data set; `nesting.MAXIMUM_DEPTH` bounds the recursion."""

    def __init__(self, window: Window, characters: CharacterSet, ignore_length: Collection[int] = frozenset()) -> None:
        """
        Args:
            ignore_length: top-level tags whose text is shown however long it is.
        """
        self._window = window
        self._characters = characters
        self._ignore_length = ignore_length
        self._depth = 0

    def data_set(self, position: int, coding: Coding, group: int | None = None) -> Json:
        """All elements from `position` to the end, or of a group; behind the pixel data nothing is looked at.

        Raises:
            TruncatedDicom, NotDicom.
        """
        elements: Json = {}
        creators: dict[int, str] = {}
        while position < self._window.size:
            header = read_header(self._window, position, coding, self._window.size)
            if group is not None and header.tag >> 16 != group:
                break
            if header.tag == PIXEL_DATA:
                elements.setdefault(_key(header.tag), {"Name": "PixelData", **_NULL})
                break
            node, position = self._element(header, self._window.size, coding, creators, header.tag)
            # An element that occurs twice counts as it is the first time (elements.py).
            elements.setdefault(_key(header.tag), node)
        return elements

    def sequence(self, position: int, end: int, coding: Coding) -> tuple[list[Json], int]:
        """Items from `position` to a delimiter or `end`, and the offset behind them."""
        self._depth += 1
        if self._depth > MAXIMUM_DEPTH:
            raise NotDicom(f"nested more than {MAXIMUM_DEPTH} deep before offset {position}")
        items: list[Json] = []
        while position < end:
            header = read_header(self._window, position, coding, end)
            position = header.value_at
            if header.tag == SEQUENCE_DELIMITATION:
                break
            item_end = end if header.length == UNDEFINED_LENGTH else _end(header, end)
            item, position = self._item(position, item_end, coding)
            items.append(item)
        self._depth -= 1
        return items, position

    def _item(self, position: int, end: int, coding: Coding) -> tuple[Json, int]:
        item: Json = {}
        creators: dict[int, str] = {}
        while position < end:
            header = read_header(self._window, position, coding, end)
            if header.tag == ITEM_DELIMITATION:
                return item, header.value_at
            item[_key(header.tag)], position = self._element(header, end, coding, creators, None)
        return item, position

    def _element(
        self, header: Header, end: int, coding: Coding, creators: dict[int, str], asked: int | None
    ) -> tuple[Json, int]:
        node: Json = {"Name": keyword_of((header.tag >> 16, header.tag & 0xFFFF))}
        if is_container(header, coding):
            inner = content_coding(header, coding)
            if inner is None:
                return node | _NULL, end_of_container(self._window, header, coding, end)
            inner_end = end if header.length == UNDEFINED_LENGTH else _end(header, end)
            items, position = self.sequence(header.value_at, inner_end, inner)
            return node | {"Type": "Sequence", "Value": items}, position
        following = _end(header, end)
        text = self._text(header, coding, asked)
        node |= self._leaf(text, asked) if isinstance(text, str) else text
        if _is_private_creator(header.tag):
            creators[header.tag] = text if isinstance(text, str) else ""
        creator = creators.get(header.tag & 0xFFFF0000 | header.tag >> 8 & 0xFF)
        if header.tag >> 16 & 1 and creator:
            node["PrivateCreator"] = creator
        return node, following

    def _text(self, header: Header, coding: Coding, asked: int | None) -> str | Json:
        limit = MAXIMUM_ASKED_BYTES if asked in self._ignore_length else MAXIMUM_READ_BYTES
        if header.length > limit:
            vr = header.vr or dictionary_vr(header.tag)
            return _TOO_LONG if vr in _TEXT_VRS else _NULL
        value = self._window.take(header.value_at, header.length)
        text = text_of(header.tag, header.vr, value, self._characters, coding.order)
        return _NULL if text is None else text

    def _leaf(self, text: str, asked: int | None) -> Json:
        if exceeds_limit(text) and asked not in self._ignore_length:
            return _TOO_LONG
        return {"Type": "String", "Value": text}


def _end(header: Header, end: int) -> int:
    following = header.value_at + header.length
    if following > end:
        refuse_length(header.tag, header.value_at, header.length, end - header.value_at)
    return following


def _is_private_creator(tag: int) -> bool:
    return bool(tag >> 16 & 1) and 0x10 <= tag & 0xFFFF <= 0xFF


def _key(tag: int) -> str:
    return hexadecimal((tag >> 16, tag & 0xFFFF))
