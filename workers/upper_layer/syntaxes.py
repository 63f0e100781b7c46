"""Which abstract and transfer syntaxes are accepted, and which of several transfer syntaxes is taken.

The storage SOP classes are those that an Orthanc 1.10.1 (DCMTK 3.6.7) accepted when it was offered every one in turn,
plus newer ones of the standard that pynetdicom knows. Like Orthanc we leave out the classes of objects without a
patient (PS3.4 annex GG: hanging protocols, colour palettes, implant templates, defined protocols, inventories).
"""

from collections.abc import Collection, Iterable, Sequence
from fnmatch import fnmatchcase

from pynetdicom import ALL_TRANSFER_SYNTAXES, AllStoragePresentationContexts

IMPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2"
EXPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2.1"
DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2.1.99"
EXPLICIT_VR_BIG_ENDIAN = "1.2.840.10008.1.2.2"

UNCOMPRESSED_PREFERENCE = (
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_VR_BIG_ENDIAN,
)
"""Orthanc takes Explicit VR Little Endian whenever it is offered, then Implicit: explicit VRs lose nothing."""

_BEYOND_PYNETDICOM = frozenset(
    (
        "1.2.840.10008.5.1.1.27",  # Stored Print Storage (retired)
        "1.2.840.10008.5.1.1.29",  # Hardcopy Grayscale Image Storage (retired)
        "1.2.840.10008.5.1.1.30",  # Hardcopy Color Image Storage (retired)
        "1.2.840.10008.5.1.4.1.1.3",  # Ultrasound Multi-frame Image Storage (retired)
        "1.2.840.10008.5.1.4.1.1.5",  # Nuclear Medicine Image Storage (retired)
        "1.2.840.10008.5.1.4.1.1.6",  # Ultrasound Image Storage (retired)
        "1.2.840.10008.5.1.4.1.1.8",  # Standalone Overlay Storage (retired)
        "1.2.840.10008.5.1.4.1.1.9",  # Standalone Curve Storage (retired)
        "1.2.840.10008.5.1.4.1.1.9.1",  # Waveform Storage - Trial (retired)
        "1.2.840.10008.5.1.4.1.1.10",  # Standalone Modality LUT Storage (retired)
        "1.2.840.10008.5.1.4.1.1.11",  # Standalone VOI LUT Storage (retired)
        "1.2.840.10008.5.1.4.1.1.12.3",  # X-Ray Angiographic Bi-Plane Image Storage (retired)
        "1.2.840.10008.5.1.4.1.1.77.1",  # VL Image Storage - Trial (retired)
        "1.2.840.10008.5.1.4.1.1.77.2",  # VL Multi-frame Image Storage - Trial (retired)
        "1.2.840.10008.5.1.4.1.1.88.1",  # Text SR Storage - Trial (retired)
        "1.2.840.10008.5.1.4.1.1.88.2",  # Audio SR Storage - Trial (retired)
        "1.2.840.10008.5.1.4.1.1.88.3",  # Detail SR Storage - Trial (retired)
        "1.2.840.10008.5.1.4.1.1.88.4",  # Comprehensive SR Storage - Trial (retired)
        "1.2.840.10008.5.1.4.1.1.129",  # Standalone PET Curve Storage (retired)
        "1.2.840.10008.5.1.4.34.1",  # RT Beams Delivery Instruction Storage - Trial (retired)
        "1.2.840.10008.5.1.4.1.1.501.1",  # DICOS CT Image Storage
        "1.2.840.10008.5.1.4.1.1.501.2.1",  # DICOS Digital X-Ray Image Storage - For Presentation
        "1.2.840.10008.5.1.4.1.1.501.2.2",  # DICOS Digital X-Ray Image Storage - For Processing
        "1.2.840.10008.5.1.4.1.1.501.3",  # DICOS Threat Detection Report Storage
        "1.2.840.10008.5.1.4.1.1.501.4",  # DICOS 2D AIT Storage
        "1.2.840.10008.5.1.4.1.1.501.5",  # DICOS 3D AIT Storage
        "1.2.840.10008.5.1.4.1.1.501.6",  # DICOS Quadrupole Resonance Storage
        "1.2.840.10008.5.1.4.1.1.601.1",  # Eddy Current Image Storage (DICONDE)
        "1.2.840.10008.5.1.4.1.1.601.2",  # Eddy Current Multi-frame Image Storage (DICONDE)
    )
)

STORAGE_SOP_CLASSES = _BEYOND_PYNETDICOM | {str(context.abstract_syntax) for context in AllStoragePresentationContexts}


class SopClasses:
    """The storage SOP classes that are accepted (AcceptedSopClasses, RejectedSopClasses, UnknownSopClassAccepted).

    Wildcards are those of `STORAGE_SOP_CLASSES`; a UID without any is meant as it is, in the list or not. `unknown`
    accepts what nobody has listed. Whatever `rejected` matches is rejected.
    """

    def __init__(self, accepted: Iterable[str], rejected: Iterable[str], *, unknown: bool) -> None:
        patterns = tuple(accepted) or ("*",)
        plain = frozenset(pattern for pattern in patterns if not {"*", "?"} & set(pattern))
        self._accepted = plain | {uid for uid in STORAGE_SOP_CLASSES if _matches(uid, patterns)}
        self._rejected = tuple(rejected)
        self._unknown = unknown

    def __contains__(self, uid: str) -> bool:
        known = uid in self._accepted or (self._unknown and uid not in STORAGE_SOP_CLASSES)
        return known and not _matches(uid, self._rejected)

    def known(self) -> list[str]:
        """Those with a name, in order; for people."""
        return sorted(uid for uid in self._accepted if uid in self)


_RETIRED_JPEG = frozenset(f"1.2.840.10008.1.2.4.{process}" for process in (*range(52, 57), *range(58, 67)))
_ENCAPSULATED_UNCOMPRESSED = "1.2.840.10008.1.2.1.98"
_STREAMING = frozenset(f"1.2.840.10008.1.2.7.{kind}" for kind in (1, 2, 3))

TRANSFER_SYNTAXES = (
    frozenset(str(uid) for uid in ALL_TRANSFER_SYNTAXES) | _RETIRED_JPEG | {_ENCAPSULATED_UNCOMPRESSED}
) - _STREAMING
"""Those in which a data set can be received by C-STORE: all but MIME, XML (retired) and SMPTE streams."""


def matching_transfer_syntaxes(patterns: Iterable[str]) -> frozenset[str]:
    """Return the transfer syntaxes that match one of `patterns` (`*` and `?`; AcceptedTransferSyntaxes)."""
    wanted = tuple(patterns)
    return frozenset(uid for uid in TRANSFER_SYNTAXES if _matches(uid, wanted))


def _matches(uid: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(uid, pattern) for pattern in patterns)


def choose_transfer_syntax(proposed: Sequence[str], accepted: Collection[str]) -> str | None:
    """Return the transfer syntax to take for a presentation context, or None if there is none in common.

    The requestor's first choice counts, so that what is compressed stays as it is. Among uncompressed ones, which say
    the same, ours does: `UNCOMPRESSED_PREFERENCE`.
    """
    common = [uid for uid in proposed if uid in accepted]
    if not common:
        return None
    if common[0] in UNCOMPRESSED_PREFERENCE:
        return next(uid for uid in UNCOMPRESSED_PREFERENCE if uid in common)
    return common[0]
