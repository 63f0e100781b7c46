"""Walk over the elements of a data set without reading the values that nobody asked for.

The walk visits every element, item and fragment up to the end of the stream, checks that each has the bytes it
claims, and seeks over what it does not want. Memory is one chunk and the wanted values; time goes with the number of
elements, not with their size. Source: PS3.5, section 7.1.
"""

from dataclasses import dataclass, field

from cluster.dicom.nesting import CONTAINER_TAGS, PIXEL_DATA, content_coding, end_of_container, is_container
from cluster.dicom.stream import (
    EXPLICIT_HEADER,
    IMPLICIT_HEADER,
    SHORT_VRS,
    UNDEFINED_LENGTH,
    Coding,
    Window,
    read_header,
    refuse_length,
)

MAXIMUM_WANTED_BYTES = 64 * 1024
"""A wanted value of more bytes is not read. No value with a length of 16 bits has as many."""

Value = tuple[bytes, bytes | None]
"""VR (empty in implicit VR) and bytes; None if they are too many to be read."""

_NEVER_ORDINARY = CONTAINER_TAGS | {PIXEL_DATA}


@dataclass(slots=True)
class Outline:
    """What a walk found at the top level.

    `sequences` holds, for the wanted tags that are sequences, the coding and the bytes of their items, delimiters
    included. An element that occurs twice counts as it is the first time, as in DCMTK and so in Orthanc.
    """

    values: dict[int, Value] = field(default_factory=dict)
    sequences: dict[int, tuple[Coding, bytes]] = field(default_factory=dict)
    pixel_data_at: int | None = None
    pixel_data_vr: bytes = b""


def walk(window: Window, start: int, coding: Coding, wanted: frozenset[int]) -> Outline:
    """Visit all elements from `start` to the end of the stream and bring back the wanted ones.

    Raises TruncatedDicom and NotDicom.
    """
    outline = Outline()
    values = outline.values
    explicit, order = coding
    unpack_explicit, unpack_implicit = EXPLICIT_HEADER[order].unpack_from, IMPLICIT_HEADER[order].unpack_from
    vr = b""
    data, base = window.data, window.base
    at, loaded = start - base, len(data)
    while True:
        # Nearly all elements are short and lie in the window: they are dealt with here, without any call.
        if at <= loaded - 8:
            if explicit:
                group, element, vr, length = unpack_explicit(data, at)
                tag = group << 16 | element
                ordinary = vr in SHORT_VRS
            else:
                group, element, length = unpack_implicit(data, at)
                tag = group << 16 | element
                ordinary = length != UNDEFINED_LENGTH and tag not in _NEVER_ORDINARY
            following = at + 8 + length
            if ordinary and following <= loaded:
                if tag in wanted and tag not in values:
                    values[tag] = (vr, data[at + 8 : following])
                at = following
                continue
        if base + at >= window.size:
            return outline
        position = _visit(window, base + at, coding, wanted, outline)
        data, base = window.data, window.base
        at, loaded = position - base, len(data)


def _visit(window: Window, position: int, coding: Coding, wanted: frozenset[int], outline: Outline) -> int:
    """Deal with any element; returns the offset behind it."""
    header = read_header(window, position, coding, window.size)
    container = is_container(header, coding)
    if container:
        following = end_of_container(window, header, coding, window.size)
    else:
        following = header.value_at + header.length
        if following > window.size:
            refuse_length(header.tag, position, header.length, window.size - header.value_at)
    if header.tag == PIXEL_DATA and outline.pixel_data_at is None:
        outline.pixel_data_at, outline.pixel_data_vr = position, header.vr
    elif header.tag in wanted and header.tag not in outline.values:
        size = following - header.value_at
        taken = window.take(header.value_at, size) if size <= MAXIMUM_WANTED_BYTES else None
        if not container:
            outline.values[header.tag] = (header.vr, taken)
        elif taken is not None and (inner := content_coding(header, coding)):
            outline.sequences.setdefault(header.tag, (inner, taken))
    return following
