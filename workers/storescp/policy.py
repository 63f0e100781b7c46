"""What the configuration accepts of an association request (interop/config.md 4, interop/ingest.md 7)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from cluster.config import Settings
from workers.storescp.permissions import Permissions, same_aet
from workers.upper_layer import pdu
from workers.upper_layer.acceptance import AssociationRequest
from workers.upper_layer.command_set import VERIFICATION
from workers.upper_layer.implementation import APPLICATION_CONTEXT
from workers.upper_layer.syntaxes import (
    UNCOMPRESSED_PREFERENCE,
    SopClasses,
    choose_transfer_syntax,
    matching_transfer_syntaxes,
)

ARTIM_SECONDS = 30.0
"""Wait for an A-ASSOCIATE-RQ where DicomScpTimeout is 0 ("for ever"): a silent stranger must not keep its place."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """An A-ASSOCIATE-RJ, and why as a metric label."""

    rejection: pdu.Rejection
    label: str


@dataclass(frozen=True, slots=True)
class Policy:
    """Settings of the acceptor, worked out once per process."""

    aet: str
    check_called_aet: bool
    strict_aet_comparison: bool
    sop_classes: SopClasses
    permissions: Permissions
    transfer_syntaxes: frozenset[str]
    maximum_pdu_length: int
    timeout_seconds: float

    @classmethod
    def from_settings(cls, settings: Settings, maximum_pdu_length: int) -> Self:
        """Take what concerns associations from `settings`; `maximum_pdu_length` is what we announce, in bytes."""
        dicom = settings.dicom
        return cls(
            aet=dicom.aet.strip(),
            check_called_aet=dicom.check_called_aet,
            strict_aet_comparison=dicom.strict_aet_comparison,
            sop_classes=SopClasses(
                dicom.accepted_sop_classes, dicom.rejected_sop_classes, unknown=dicom.unknown_sop_class_accepted
            ),
            permissions=Permissions.from_settings(dicom),
            transfer_syntaxes=matching_transfer_syntaxes(dicom.accepted_transfer_syntaxes),
            maximum_pdu_length=maximum_pdu_length,
            timeout_seconds=dicom.scp_timeout_seconds,
        )

    def refusal(self, request: AssociationRequest, peer_ip: str) -> Refusal | None:
        """Return why `request` from `peer_ip` is refused, or None if nothing in it speaks against it."""
        if not request.protocol_version & 1:
            return Refusal(pdu.PROTOCOL_VERSION_NOT_SUPPORTED, "protocol_version")
        if request.application_context != APPLICATION_CONTEXT:
            return Refusal(pdu.APPLICATION_CONTEXT_NOT_SUPPORTED, "application_context")
        if not request.calling_aet:
            return Refusal(pdu.CALLING_AE_TITLE_NOT_RECOGNIZED, "calling_aet")
        if self.check_called_aet and not same_aet(request.called_aet, self.aet, strict=self.strict_aet_comparison):
            return Refusal(pdu.CALLED_AE_TITLE_NOT_RECOGNIZED, "called_aet")
        if not self.permissions.may_associate(request.calling_aet, peer_ip):
            return Refusal(pdu.CALLING_AE_TITLE_NOT_RECOGNIZED, "calling_aet")
        return None

    def choose(self, abstract_syntax: str, proposed: Sequence[str]) -> str | None:
        """Return the transfer syntax to take, or None; raises KeyError for an abstract syntax that is not served."""
        if abstract_syntax == VERIFICATION:
            return choose_transfer_syntax(proposed, UNCOMPRESSED_PREFERENCE)
        if abstract_syntax not in self.sop_classes:
            raise KeyError(abstract_syntax)
        return choose_transfer_syntax(proposed, self.transfer_syntaxes)
