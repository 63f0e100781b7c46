"""PDU types, the PDUs of fixed length and P-DATA-TF (PS3.8 section 9.3).

A-ASSOCIATE-RQ and -AC have many variable items: `acceptance` and `proposal` leave those to pynetdicom's codecs.
"""

import struct
from collections.abc import Iterator
from typing import NamedTuple

A_ASSOCIATE_RQ = 0x01
A_ASSOCIATE_AC = 0x02
A_ASSOCIATE_RJ = 0x03
P_DATA_TF = 0x04
A_RELEASE_RQ = 0x05
A_RELEASE_RP = 0x06
A_ABORT = 0x07

HEADER_BYTES = 6
"""Type, reserved byte and length, before every PDU."""

VALUE_HEADER_BYTES = 6
"""Item length, presentation context id and message control header, before every fragment (PS3.8 section 9.3.5.1)."""

COMMAND = 0x01
LAST = 0x02
"""Bits of the message control header (PS3.8 annex E.2)."""

DEFAULT_MAXIMUM_LENGTH = 131072
"""Bytes of a P-DATA-TF that we announce and, to a peer without a limit, send: DCMTK's and Orthanc's upper limit."""

_FIXED = struct.Struct(">BxIxBBB")
_DATA_HEADER = struct.Struct(">BxIIBB")

RELEASE_RQ = _FIXED.pack(A_RELEASE_RQ, 4, 0, 0, 0)
RELEASE_RP = _FIXED.pack(A_RELEASE_RP, 4, 0, 0, 0)


class Rejection(NamedTuple):
    """An A-ASSOCIATE-RJ (PS3.8 table 9-21)."""

    result: int
    source: int
    reason: int


APPLICATION_CONTEXT_NOT_SUPPORTED = Rejection(1, 1, 2)
CALLING_AE_TITLE_NOT_RECOGNIZED = Rejection(1, 1, 3)
CALLED_AE_TITLE_NOT_RECOGNIZED = Rejection(1, 1, 7)
PROTOCOL_VERSION_NOT_SUPPORTED = Rejection(1, 2, 2)
LOCAL_LIMIT_EXCEEDED = Rejection(2, 3, 2)


def reject(rejection: Rejection) -> bytes:
    """Encode an A-ASSOCIATE-RJ (PS3.8 section 9.3.4)."""
    return _FIXED.pack(A_ASSOCIATE_RJ, 4, *rejection)


def abort_by_user() -> bytes:
    """Encode an A-ABORT of the service user, whose reason is not significant (PS3.8 section 9.3.8)."""
    return _FIXED.pack(A_ABORT, 4, 0, 0, 0)


def abort_by_provider(reason: int) -> bytes:
    """Encode an A-ABORT of the service provider with one of the reasons in `failures` (PS3.8 table 9-26)."""
    return _FIXED.pack(A_ABORT, 4, 0, 2, reason)


Pieces = tuple[bytes | memoryview, ...]
"""A data set that does not lie in one place."""


def fragment_bytes(maximum_length: int) -> int:
    """Return the largest fragment for a peer that announced `maximum_length` bytes (0 = no limit).

    Fragments have an even length (PS3.8 annex E.1).
    """
    return ((maximum_length or DEFAULT_MAXIMUM_LENGTH) - VALUE_HEADER_BYTES) & ~1


def message(
    context_id: int, command: bytes, data_set: bytes | memoryview | Pieces | None, maximum_length: int
) -> Iterator[bytes | memoryview]:
    """Yield the pieces of a DIMSE message as P-DATA-TF PDUs with one fragment each, for a scattered write.

    `command` and the fragments of `data_set` never share a PDU: receivers that cannot cope with that exist. None
    stands for no data set; an empty one is one fragment of no bytes.
    """
    limit = fragment_bytes(maximum_length)
    parts: list[tuple[Pieces, int]] = [((command,), COMMAND)]
    if data_set is not None:
        parts.append((data_set if isinstance(data_set, tuple) else (data_set,), 0))
    for pieces, kind in parts:
        left = sum(map(len, pieces))
        for fragment in _fragments(pieces, limit):
            size = sum(map(len, fragment))
            left -= size
            yield _DATA_HEADER.pack(P_DATA_TF, size + 6, size + 2, context_id, kind | (0 if left else LAST))
            yield from fragment


def _fragments(pieces: Pieces, limit: int) -> Iterator[list[memoryview]]:
    """Cut what `pieces` are together into fragments of `limit` bytes and a last one; alone it may be empty."""
    fragment: list[memoryview] = []
    room = limit
    for piece in pieces:
        body = memoryview(piece)
        start = 0
        while start < len(body):
            if not room:
                yield fragment
                fragment, room = [], limit
            taken = body[start : start + room]
            fragment.append(taken)
            start += len(taken)
            room -= len(taken)
    yield fragment
