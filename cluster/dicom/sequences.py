"""Metadata 16 (MainDicomSequences): main DICOM tags that are sequences, as JSON.

Source: interop/tags.md, section 3; the form of an item is that of ``GET /instances/{id}/tags``, interop/rest.md.
"""

import io
import json
from typing import Any

from pydicom.datadict import dictionary_has_tag, dictionary_is_retired, keyword_for_tag

from cluster.dicom.character_sets import CharacterSet
from cluster.dicom.nesting import (
    ITEM_DELIMITATION,
    SEQUENCE_DELIMITATION,
    content_coding,
    end_of_container,
    is_container,
)
from cluster.dicom.stream import UNDEFINED_LENGTH, Coding, Window, read_header
from cluster.dicom.values import exceeds_limit, text_of

Json = dict[str, Any]

_UNKNOWN = "Unknown Tag & Data"
_NULL: Json = {"Type": "Null", "Value": None}


def main_sequences(tag: int, coding: Coding, items: bytes, characters: CharacterSet) -> str:
    """Metadata 16 for one sequence, whose `items` a walk has brought back and so has checked."""
    window = Window(io.BytesIO(items), len(items))
    content, _ = _sequence(window, 0, len(items), coding, characters)
    sequence = {"Name": _keyword(tag), "Type": "Sequence", "Value": content}
    return json.dumps(
        {"Sequences": {_key(tag): sequence}, "Version": 1}, ensure_ascii=True, separators=(",", ":"), sort_keys=True
    )


def _sequence(
    window: Window, position: int, end: int, coding: Coding, characters: CharacterSet
) -> tuple[list[Json], int]:
    """Items from `position` to a delimiter or `end`, and the offset behind them. nesting.MAXIMUM_DEPTH bounds this."""
    items: list[Json] = []
    while position < end:
        header = read_header(window, position, coding, end)
        position = header.value_at
        if header.tag == SEQUENCE_DELIMITATION:
            break
        item_end = end if header.length == UNDEFINED_LENGTH else position + header.length
        item, position = _item(window, position, item_end, coding, characters)
        items.append(item)
    return items, position


def _item(window: Window, position: int, end: int, coding: Coding, characters: CharacterSet) -> tuple[Json, int]:
    item: Json = {}
    creators: dict[int, str] = {}
    while position < end:
        header = read_header(window, position, coding, end)
        position = header.value_at
        if header.tag == ITEM_DELIMITATION:
            break
        node: Json = {"Name": _keyword(header.tag)}
        container = is_container(header, coding)
        inner = content_coding(header, coding) if container else None
        if inner:
            inner_end = end if header.length == UNDEFINED_LENGTH else position + header.length
            node["Type"] = "Sequence"
            node["Value"], position = _sequence(window, position, inner_end, inner, characters)
        elif container:
            node |= _NULL
            position = end_of_container(window, header, coding, end)
        else:
            value = window.take(position, header.length)
            position += header.length
            text = text_of(header.tag, header.vr, value, characters, coding.order)
            node |= _leaf(text)
            if _is_private_creator(header.tag):
                creators[header.tag] = text or ""
            creator = creators.get(header.tag & 0xFFFF0000 | header.tag >> 8 & 0xFF)
            if header.tag >> 16 & 1 and creator:
                node["PrivateCreator"] = creator
        item[_key(header.tag)] = node
    return item, position


def _leaf(text: str | None) -> Json:
    if text is None:
        return _NULL
    if exceeds_limit(text):
        return {"Type": "TooLong", "Value": None}
    return {"Type": "String", "Value": text}


def _is_private_creator(tag: int) -> bool:
    return bool(tag >> 16 & 1) and 0x10 <= tag & 0xFFFF <= 0xFF


def _keyword(tag: int) -> str:
    """Name of a tag in DCMTK's dictionary: the standard's keyword where it has one, marked if it is retired."""
    if tag & 0xFFFF == 0:
        return "GenericGroupLength"
    if _is_private_creator(tag):
        return "PrivateCreator"
    keyword = keyword_for_tag(tag) or _UNKNOWN
    return f"RETIRED_{keyword}" if dictionary_has_tag(tag) and dictionary_is_retired(tag) else keyword


def _key(tag: int) -> str:
    return f"{tag >> 16:04x},{tag & 0xFFFF:04x}"
