"""Kinds of synthetic studies, and the names and UIDs within a study.

Everything follows from the seed and the numbers of study, series and instance, so that several senders can make
different instances of one series without talking to each other.
"""

import uuid
from dataclasses import dataclass
from random import Random

from pydicom.uid import (
    ComputedRadiographyImageStorage,
    CTImageStorage,
    DigitalMammographyXRayImageStorageForPresentation,
    DigitalXRayImageStorageForPresentation,
    MRImageStorage,
    NuclearMedicineImageStorage,
    PositronEmissionTomographyImageStorage,
    UltrasoundImageStorage,
    XRayAngiographicImageStorage,
)

SOP_CLASSES = {
    "CT": str(CTImageStorage),
    "MR": str(MRImageStorage),
    "CR": str(ComputedRadiographyImageStorage),
    "DX": str(DigitalXRayImageStorageForPresentation),
    "MG": str(DigitalMammographyXRayImageStorageForPresentation),
    "US": str(UltrasoundImageStorage),
    "XA": str(XRayAngiographicImageStorage),
    "NM": str(NuclearMedicineImageStorage),
    "PT": str(PositronEmissionTomographyImageStorage),
}
"""By modality: what the generator can make, all of it with 16 bits allocated and one frame."""

_UID_NAMESPACE = uuid.UUID("0f1c7a5e-4a0e-4c8e-9d55-3b6c7f3b9a10")


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of study: modality, image size (16 bits allocated, 12 stored) and extent."""

    modality: str
    sop_class_uid: str
    rows: int
    columns: int
    series: int
    instances_per_series: int

    @property
    def tomographic(self) -> bool:
        """Whether instances are slices, with a place in the patient."""
        return self.modality in ("CT", "MR", "PT")


SMALL = Kind("CT", str(CTImageStorage), 120, 124, series=2, instances_per_series=25)
CT = Kind("CT", str(CTImageStorage), 512, 512, series=2, instances_per_series=25)
MR = Kind("MR", str(MRImageStorage), 256, 256, series=2, instances_per_series=25)
TINY = Kind("CT", str(CTImageStorage), 32, 32, series=2, instances_per_series=5)
CR = Kind("CR", str(ComputedRadiographyImageStorage), 1280, 1024, series=2, instances_per_series=1)

SIZES: dict[str, tuple[Kind, ...]] = {"tiny": (TINY,), "small": (SMALL,), "ct": (CT,), "mixed": (SMALL, CT, MR, CR)}
"""What ``--size`` means; studies take turns. Files: TINY 3 KB, SMALL 30 KB, CT 526 KB, MR 133 KB, CR 2.6 MB."""

Size = str | tuple[Kind, ...]
"""A key of SIZES, or kinds of one's own, which take turns."""


def kinds_of(size: Size) -> tuple[Kind, ...]:
    """The kinds that take turns."""
    return SIZES[size] if isinstance(size, str) else size


@dataclass(frozen=True, slots=True)
class SyntheticStudy:
    """A study of `stream`, which is any name; `number` counts its studies from 0. Two studies share a patient."""

    seed: int
    stream: str
    number: int
    kind: Kind

    @property
    def patient_id(self) -> str:
        """PatientID; unique to seed and stream."""
        return f"LOAD{self.seed:08X}-{self.stream}-{self.number // 2}"

    def uid(self, *parts: str | int) -> str:
        """A UID made from a UUID (PS3.5 annex B.2)."""
        name = "/".join(map(str, (self.seed, self.stream, self.number, *parts)))
        return f"2.25.{uuid.uuid5(_UID_NAMESPACE, name).int}"

    def random(self, *parts: str | int) -> Random:
        """Random numbers that are the same for everybody who asks for the same thing."""
        return Random("/".join(map(str, (self.seed, self.stream, *parts))))  # noqa: S311 (test data)
