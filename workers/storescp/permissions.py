"""Who may ask for what over DIMSE, decided as Orthanc decides it (interop/config.md, section 6)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Self

from cluster.config import DicomSettings
from cluster.config.modalities import Modality
from workers.upper_layer import command_set


class Right(Enum):
    """What an entry of DicomModalities can allow, among what this node serves."""

    ECHO = "AllowEcho"
    STORE = "AllowStore"


RIGHTS = {command_set.C_ECHO_RQ: Right.ECHO, command_set.C_STORE_RQ: Right.STORE}
"""By the command field of the request that needs it."""

_FLAGS: dict[Right, Callable[[Modality], bool]] = {
    Right.ECHO: lambda modality: modality.allow_echo,
    Right.STORE: lambda modality: modality.allow_store,
}


def same_aet(one: str, other: str, *, strict: bool) -> bool:
    """Whether two AE titles are the same; unless `strict` (StrictAetComparison) case does not matter."""
    one, other = one.strip(), other.strip()
    return one == other if strict else one.casefold() == other.casefold()


@dataclass(frozen=True, slots=True)
class Permissions:
    """DicomModalities and the rights that everybody has."""

    everybody: frozenset[Right]
    modalities: Sequence[Modality]
    check_host: bool
    strict: bool

    @classmethod
    def from_settings(cls, dicom: DicomSettings) -> Self:
        """Take what concerns rights from `dicom`."""
        everybody = {Right.ECHO: dicom.always_allow_echo, Right.STORE: dicom.always_allow_store}
        return cls(
            everybody=frozenset(right for right, allowed in everybody.items() if allowed),
            modalities=tuple(dicom.modalities.values()),
            check_host=dicom.check_modality_host,
            strict=dicom.strict_aet_comparison,
        )

    def may_associate(self, calling_aet: str, peer_ip: str) -> bool:
        """Whether an association makes sense: everybody may do something, or the peer is known."""
        return bool(self.everybody) or any(
            not self.check_host or modality.host == peer_ip for modality in self._known_as(calling_aet)
        )

    def allows(self, right: Right, calling_aet: str, peer_ip: str) -> bool:
        """Whether the peer may make a request that needs `right`.

        Among several entries with one AE title that of this host decides where hosts are checked; otherwise, and where
        none does, all have to agree.
        """
        if right in self.everybody:
            return True
        entries = self._known_as(calling_aet)
        allowed = [_FLAGS[right](modality) for modality in entries]
        if len(entries) == 1:
            return allowed[0] and (not self.check_host or entries[0].host == peer_ip)
        here = self.check_host and any(
            yes and modality.host == peer_ip for yes, modality in zip(allowed, entries, strict=True)
        )
        return here or (bool(allowed) and all(allowed))

    def _known_as(self, calling_aet: str) -> list[Modality]:
        return [it for it in self.modalities if same_aet(it.aet, calling_aet, strict=self.strict)]
