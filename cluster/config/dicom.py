"""The DICOM options, which are top-level keys in the configuration (interop/config.md, section 4)."""

import re
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field

from cluster.config.options import Options, Port, Text


def _ae_title(title: str) -> str:
    """PS3.5 section 6.2, VR AE: default repertoire without backslash and control characters, not only spaces."""
    if not re.fullmatch(r"[\x20-\x5B\x5D-\x7E]{1,16}", title) or not title.strip():
        raise ValueError("must have 1 to 16 characters of ASCII, no backslash, not only spaces")
    return title


def _one_or_many(value: Any) -> Any:
    if isinstance(value, str):
        return (value,)
    if isinstance(value, (list, tuple)):
        return tuple(value)
    raise ValueError("must be text or an array of text")


def _transfer_syntax(pattern: str) -> str:
    if not re.fullmatch(r"[0-9.*?]+", pattern):
        raise ValueError("must be a transfer syntax UID, in which * and ? are wildcards")
    return pattern


TransferSyntax = Annotated[str, AfterValidator(_transfer_syntax)]


class DicomSettings(Options):
    """The DICOM server."""

    server_enabled: bool = Field(default=True, validation_alias="DicomServerEnabled")
    aet: Annotated[Text, AfterValidator(_ae_title)] = Field(default="ORTHANC", validation_alias="DicomAet")
    port: Port = Field(default=4242, validation_alias="DicomPort")
    check_called_aet: bool = Field(default=False, validation_alias="DicomCheckCalledAet")
    strict_aet_comparison: bool = Field(default=False, validation_alias="StrictAetComparison")
    maximum_pdu_length: int = Field(default=16384, ge=4096, le=131072, validation_alias="MaximumPduLength")
    scp_timeout_seconds: int = Field(default=30, ge=0, validation_alias="DicomScpTimeout")
    unknown_sop_class_accepted: bool = Field(default=False, validation_alias="UnknownSopClassAccepted")
    accepted_transfer_syntaxes: Annotated[tuple[TransferSyntax, ...], BeforeValidator(_one_or_many)] = Field(
        default=("1.2.840.10008.1.*",), validation_alias="AcceptedTransferSyntaxes"
    )
