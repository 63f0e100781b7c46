"""File meta information (group 0002) of a Part 10 file: read it, and write ours.

Source: PS3.10, section 7.1. Orthanc too stores what C-STORE brings with a header of its own (interop/ingest.md,
section 3).
"""

from functools import lru_cache
from struct import pack

from cluster.dicom.stream import EXPLICIT_LITTLE, UNDEFINED_LENGTH, Window, name, read_header, refuse_length
from cluster.errors import NotDicom, UnusableIdentifier

IMPLEMENTATION_CLASS_UID = "2.25.84580068041909256228015441409377858285"
IMPLEMENTATION_VERSION_NAME = "ORTHANCCLUSTER01"

DEFLATED_TRANSFER_SYNTAXES = frozenset(
    {
        "1.2.840.10008.1.2.1.99",  # Deflated Explicit VR Little Endian
        "1.2.840.10008.1.2.4.95",  # JPIP Referenced Deflate
        "1.2.840.10008.1.2.4.205",  # JPIP HTJ2K Referenced Deflate
    }
)
"""Transfer syntaxes whose data set, not only its pixel data, is one deflated stream (PS3.5, A.5)."""

_PREAMBLE = bytes(128) + b"DICM"
META_GROUP_AT = len(_PREAMBLE)
"""Where group 0002 begins."""

_GROUP_LENGTH = 0x00020000
_TRANSFER_SYNTAX_UID = 0x00020010
_MAXIMUM_UID_LENGTH = 64


def read_file_meta_information(window: Window) -> tuple[str, int]:
    """Transfer syntax UID of a file, and the offset of its data set.

    A file without preamble and ``DICM``, or that does not say its transfer syntax, is refused rather than guessed at.
    The group length is believed only where nothing else tells where the group ends: before a deflated data set.
    Raises NotDicom and TruncatedDicom.
    """
    if window.size == 0:
        raise NotDicom("empty")
    window.load(0)
    if window.data[128:132] != b"DICM":
        raise NotDicom("no preamble with the prefix DICM")
    transfer_syntax_uid, announced_end, position = "", 0, len(_PREAMBLE)
    while position < window.size and not (
        position == announced_end and transfer_syntax_uid in DEFLATED_TRANSFER_SYNTAXES
    ):
        if window.size - position >= 2 and window.take(position, 2) != b"\x02\0":
            break
        header = read_header(window, position, EXPLICIT_LITTLE, window.size)
        following = header.value_at + header.length
        if header.length == UNDEFINED_LENGTH:
            raise NotDicom(f"{name(header.tag)} at offset {position}: undefined length in the file meta information")
        if following > window.size:
            refuse_length(header.tag, position, header.length, window.size - header.value_at)
        if header.tag == _GROUP_LENGTH and header.length == 4:
            announced_end = following + int.from_bytes(window.take(header.value_at, 4), "little")
        elif header.tag == _TRANSFER_SYNTAX_UID and header.length <= _MAXIMUM_UID_LENGTH:
            transfer_syntax_uid = _uid(window.take(header.value_at, header.length))
        position = following
    if not transfer_syntax_uid:
        raise NotDicom("no usable Transfer Syntax UID (0002,0010)")
    return transfer_syntax_uid, position


def _uid(value: bytes) -> str:
    return value.split(b"\0", 1)[0].replace(b" ", b"").decode("ascii", "ignore")


@lru_cache(maxsize=64)
def _head(sop_class_uid: str, transfer_syntax_uid: str) -> tuple[bytes, bytes]:
    """What comes before and after the SOP instance UID, the same for all instances of an association."""
    before = b"\x02\0\x01\0OB\0\0\x02\0\0\0\0\x01" + _element(0x0002, b"UI", sop_class_uid)
    after = (
        _element(_TRANSFER_SYNTAX_UID & 0xFFFF, b"UI", transfer_syntax_uid)
        + _element(0x0012, b"UI", IMPLEMENTATION_CLASS_UID)
        + _element(0x0013, b"SH", IMPLEMENTATION_VERSION_NAME)
    )
    return before, after


def file_meta_information(sop_class_uid: str, sop_instance_uid: str, transfer_syntax_uid: str) -> bytes:
    """Preamble, prefix and group 0002 to put before a data set received by C-STORE.

    Raises UnusableIdentifier for UIDs that an element of VR UI cannot hold.
    """
    before, after = _head(sop_class_uid, transfer_syntax_uid)
    group = before + _element(0x0003, b"UI", sop_instance_uid) + after
    return _PREAMBLE + pack("<HH2sHI", 0x0002, 0x0000, b"UL", 4, len(group)) + group


def _element(element: int, vr: bytes, text: str) -> bytes:
    """One element of group 0002; UIDs are padded with NUL (PS3.5, 6.2)."""
    if not text.isascii() or len(text) > 0xFFFE:
        raise UnusableIdentifier(f"(0002,{element:04X}): not a UID")
    value = text.encode("ascii")
    value += b"\0" * (len(value) % 2)
    return pack("<HH2sH", 0x0002, element, vr, len(value)) + value
