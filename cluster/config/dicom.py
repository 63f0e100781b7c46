"""The DICOM options, which are top-level keys in the configuration (interop/config.md, section 4)."""

import re
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from cluster.config.modalities import Modalities
from cluster.config.options import Folder, Options, Port, Text
from cluster.errors import ConfigurationError


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


def _uid_pattern(pattern: str) -> str:
    if not re.fullmatch(r"[0-9.*?]+", pattern):
        raise ValueError("must be a UID, in which * and ? are wildcards")
    return pattern


UidPattern = Annotated[str, AfterValidator(_uid_pattern)]
UidPatterns = Annotated[tuple[UidPattern, ...], BeforeValidator(_one_or_many)]


Ciphers = Annotated[tuple[Text, ...], BeforeValidator(_one_or_many)]
"""Names of TLS cipher suites as OpenSSL spells them."""


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
    accepted_transfer_syntaxes: UidPatterns = Field(
        default=("1.2.840.10008.1.*",), validation_alias="AcceptedTransferSyntaxes"
    )
    accepted_sop_classes: UidPatterns = Field(default=(), validation_alias="AcceptedSopClasses")
    rejected_sop_classes: UidPatterns = Field(default=(), validation_alias="RejectedSopClasses")
    always_allow_echo: bool = Field(default=True, validation_alias="DicomAlwaysAllowEcho")
    always_allow_store: bool = Field(default=True, validation_alias="DicomAlwaysAllowStore")
    check_modality_host: bool = Field(default=False, validation_alias="DicomCheckModalityHost")
    modalities: Modalities = Field(default_factory=dict, validation_alias="DicomModalities")
    tls_enabled: bool = Field(default=False, validation_alias="DicomTlsEnabled")
    tls_certificate: Folder | None = Field(default=None, validation_alias="DicomTlsCertificate")
    tls_private_key: Folder | None = Field(default=None, validation_alias="DicomTlsPrivateKey")
    tls_trusted_certificates: Folder | None = Field(default=None, validation_alias="DicomTlsTrustedCertificates")
    tls_remote_certificate_required: bool = Field(default=True, validation_alias="DicomTlsRemoteCertificateRequired")
    tls_minimum_protocol_version: int = Field(default=0, ge=0, le=5, validation_alias="DicomTlsMinimumProtocolVersion")
    tls_ciphers_accepted: Ciphers = Field(default=(), validation_alias="DicomTlsCiphersAccepted")

    @model_validator(mode="after")
    def _tls_is_possible(self) -> Self:
        if not self.tls_enabled:
            return self
        needed = {"DicomTlsCertificate": self.tls_certificate, "DicomTlsPrivateKey": self.tls_private_key}
        if self.tls_remote_certificate_required:
            needed["DicomTlsTrustedCertificates"] = self.tls_trusted_certificates
        for key, file in needed.items():
            if file is None:
                raise ConfigurationError(key, "must name a PEM file, because DicomTlsEnabled is true")
        if self.tls_ciphers_accepted and self.tls_minimum_protocol_version == 0:
            raise ConfigurationError(
                "DicomTlsCiphersAccepted", "needs a DicomTlsMinimumProtocolVersion: 0 stands for a whole TLS profile"
            )
        return self
