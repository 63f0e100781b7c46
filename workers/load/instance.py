"""What a sender needs to know of an instance, wherever it comes from."""

import hashlib
from typing import Protocol

from workers.upper_layer.pdu import Pieces

__all__ = ["Instance", "Pieces", "md5_of", "size_of"]


class Instance(Protocol):
    """An instance ready to be sent; its data set has no Part 10 header, and need not lie in one place."""

    @property
    def patient_id(self) -> str: ...
    @property
    def study_instance_uid(self) -> str: ...
    @property
    def series_instance_uid(self) -> str: ...
    @property
    def sop_instance_uid(self) -> str: ...
    @property
    def sop_class_uid(self) -> str: ...
    @property
    def transfer_syntax_uid(self) -> str: ...
    @property
    def pieces(self) -> Pieces:
        """The data set."""

    def changed(self) -> "Instance":
        """The same instance by its identifiers, with other content."""


def size_of(pieces: Pieces) -> int:
    """Bytes of all."""
    return sum(map(len, pieces))


def md5_of(pieces: Pieces) -> str:
    """In hexadecimal, of what the pieces are together."""
    digest = hashlib.md5(usedforsecurity=False)
    for piece in pieces:
        digest.update(piece)
    return digest.hexdigest()
