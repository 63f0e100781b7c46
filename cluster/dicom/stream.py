"""The stream under a walk: a window over its bytes, and the header of one element in it.

Source: PS3.5, section 7.1.
"""

from struct import Struct
from typing import BinaryIO, Literal, NamedTuple, NoReturn

from cluster.errors import TruncatedDicom

CHUNK_BYTES = 16 * 1024
"""Bytes read from the stream at a time, and kept."""

UNDEFINED_LENGTH = 0xFFFFFFFF
DELIMITER_GROUP = 0xFFFE

# PS3.5, Tables 7.1-1 and 7.1-2: explicit VRs with a length of 16 bits; with one of 32 bits after 2 reserved bytes.
SHORT_VRS = frozenset(b"AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US".split())
LONG_VRS = frozenset(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())

ByteOrder = Literal["<", ">"]
_ORDERS: tuple[ByteOrder, ByteOrder] = ("<", ">")
EXPLICIT_HEADER = {order: Struct(order + "HH2sH") for order in _ORDERS}
IMPLICIT_HEADER = {order: Struct(order + "HHI") for order in _ORDERS}
_LENGTH = {order: Struct(order + "I") for order in _ORDERS}


class Coding(NamedTuple):
    """The part of a transfer syntax that decides how elements are laid out."""

    explicit: bool
    order: ByteOrder


IMPLICIT_LITTLE = Coding(explicit=False, order="<")
EXPLICIT_LITTLE = Coding(explicit=True, order="<")
EXPLICIT_BIG = Coding(explicit=True, order=">")


class Header(NamedTuple):
    """What precedes a value; `vr` is empty in implicit VR and for items and delimiters."""

    tag: int
    vr: bytes
    length: int
    value_at: int


class Window:
    """A chunk of a seekable stream of `size` bytes, moved as the walk proceeds."""

    __slots__ = ("_stream", "base", "data", "size")

    def __init__(self, stream: BinaryIO, size: int) -> None:
        self._stream = stream
        self.size = size
        self.base = 0
        self.data = b""

    def load(self, position: int) -> None:
        """Move the window to `position`; it is shorter than a chunk only at the end of the stream."""
        self._stream.seek(position)
        self.data = self._stream.read(min(CHUNK_BYTES, self.size - position))
        self.base = position

    def take(self, position: int, count: int) -> bytes:
        """The `count` bytes at `position`; raises TruncatedDicom if the stream is shorter than its announced size."""
        at = position - self.base
        if at >= 0 and at + count <= len(self.data):
            return self.data[at : at + count]
        self._stream.seek(position)
        taken = self._stream.read(count)
        if len(taken) < count:
            raise TruncatedDicom(f"{count} bytes wanted at offset {position}, {len(taken)} left")
        return taken


def name(tag: int) -> str:
    """A tag as the standard writes it: (gggg,eeee)."""
    return f"({tag >> 16:04X},{tag & 0xFFFF:04X})"


def read_header(window: Window, position: int, coding: Coding, end: int) -> Header:
    """Header of the element, item or delimiter at `position`.

    Raises TruncatedDicom unless all of the header lies before `end`; the value is not looked at.
    """
    at = position - window.base
    if at < 0 or at + 12 > len(window.data):
        window.load(position)
        at = 0
    data = window.data
    left = min(end - position, len(data) - at)
    if left < 8:
        raise TruncatedDicom(f"element at offset {position}: {left} bytes left for a header of 8")
    group, element, length = IMPLICIT_HEADER[coding.order].unpack_from(data, at)
    tag = group << 16 | element
    if not coding.explicit or group == DELIMITER_GROUP:
        return Header(tag, b"", length, position + 8)
    _, _, vr, length = EXPLICIT_HEADER[coding.order].unpack_from(data, at)
    # A VR newer than these tables has the long form (PS3.5, 7.1.2). What is no VR at all has been seen with the short
    # one; DCMTK reads it so.
    if vr in SHORT_VRS or (vr not in LONG_VRS and not (vr.isalpha() and vr.isupper())):
        return Header(tag, vr, length, position + 8)
    if left < 12:
        raise TruncatedDicom(f"{name(tag)} at offset {position}: {left} bytes left for a header of 12")
    return Header(tag, vr, _LENGTH[coding.order].unpack_from(data, at + 8)[0], position + 12)


def refuse_length(tag: int, position: int, claimed: int, left: int) -> NoReturn:
    """Raise TruncatedDicom for what claims more bytes than the stream, or what encloses it, has left."""
    raise TruncatedDicom(f"{name(tag)} at offset {position} claims {claimed} bytes, {left} left")
