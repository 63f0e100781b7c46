"""Metadata 16 (MainDicomSequences): main DICOM tags that are sequences, as JSON.

Source: interop/tags.md, section 3; the form of an item is that of ``GET /instances/{id}/tags``, interop/rest.md.
"""

import io
import json

from cluster.dicom.character_sets import CharacterSet
from cluster.dicom.dataset_json import JsonReader
from cluster.dicom.stream import Coding, Window
from cluster.dicom.tag_names import hexadecimal, keyword_of


def main_sequences(tag: int, coding: Coding, items: bytes, characters: CharacterSet) -> str:
    """Metadata 16 for one sequence, whose `items` a walk has brought back and so has checked."""
    window = Window(io.BytesIO(items), len(items))
    content, _ = JsonReader(window, characters).sequence(0, len(items), coding)
    pair = (tag >> 16, tag & 0xFFFF)
    sequence = {"Name": keyword_of(pair), "Type": "Sequence", "Value": content}
    return json.dumps(
        {"Sequences": {hexadecimal(pair): sequence}, "Version": 1},
        ensure_ascii=True,
        separators=(",", ":"),
        sort_keys=True,
    )
