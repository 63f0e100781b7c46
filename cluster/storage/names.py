"""Names of new attachments.

A UUID that is counted instead of drawn: the n-th of a series, as random to everybody who does not know the series. So
the files that a killed process can have left are a short list, which `cluster.reconciliation.left_files` goes through
instead of the storage area.
"""

import uuid as uuids
from hashlib import blake2b
from typing import Protocol
from uuid import UUID

_VARIANTS = "89ab"


class Names(Protocol):
    """Where the UUIDs of a process's attachments come from; thread-safe."""

    def take(self) -> str:
        """A UUID that nobody ever had; raises ClusterError if none is to be had now."""

    def settled(self, uuid: str) -> None:
        """A row names the file, or there is none any more."""

    def doubtful(self, uuid: str) -> None:
        """The file stays, and whether a row names it has to be found out later."""


class RandomNames:
    """UUIDs out of nowhere, for whoever needs no successor."""

    def take(self) -> str:
        return str(uuids.uuid4())

    def settled(self, uuid: str) -> None:
        """Nobody counts."""

    def doubtful(self, uuid: str) -> None:
        """Nobody will ask."""


def nth_name(series: UUID, number: int) -> str:
    """The UUID with that number in a series, in the form of version 4 (RFC 9562 section 5.4)."""
    digest = blake2b(number.to_bytes(8, "big"), key=series.bytes, digest_size=16).hexdigest()
    variant = _VARIANTS[int(digest[16], 16) & 3]
    return f"{digest[:8]}-{digest[8:12]}-4{digest[13:16]}-{variant}{digest[17:20]}-{digest[20:]}"
