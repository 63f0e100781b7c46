"""Limits of the archive, which hold for all nodes together (interop/ingest.md 6; schema/sql/cluster_recycling.sql)."""

from dataclasses import dataclass
from typing import LiteralString

from cluster.config import Settings

_MEGABYTE = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """What may be stored; 0 is no limit."""

    maximum_size: int = 0
    """Bytes of all attachments as they are stored."""
    maximum_patients: int = 0
    recycles: bool = True
    """Whether old patients make room, or what is new is refused."""

    @classmethod
    def of(cls, settings: Settings) -> "Limits":
        """Options MaximumStorageSize, MaximumPatientCount and MaximumStorageMode."""
        return cls(
            settings.maximum_storage_size * _MEGABYTE,
            settings.maximum_patient_count,
            settings.maximum_storage_mode == "Recycle",
        )

    @property
    def is_set(self) -> bool:
        """Whether there is any limit; without one nobody waits for anybody."""
        return self.maximum_size > 0 or self.maximum_patients > 0

    @property
    def turns(self) -> LiteralString | None:
        """The table by which those who add something to a limited archive take turns (`Database.run`)."""
        return "cluster.recycling_queue" if self.is_set else None

    def values(self) -> dict[str, int | bool]:
        """Parameters of the functions that keep the limits."""
        return {
            "maximum_size": self.maximum_size,
            "maximum_patients": self.maximum_patients,
            "recycles": self.recycles,
        }


UNLIMITED = Limits()
