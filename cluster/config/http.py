"""The HTTP options, which are top-level keys in the configuration (interop/config.md, section 3)."""

from collections.abc import Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, model_validator

from cluster.config.dicom import Ciphers
from cluster.config.options import Folder, Options, Port, Secret
from cluster.errors import ConfigurationError


def _user_names(users: Mapping[str, SecretStr]) -> Mapping[str, SecretStr]:
    # The name is not quoted: whoever wrote "user:password" as the key wrote a password.
    if not all(users) or any(":" in name for name in users):
        raise ValueError("a user name must not be empty or contain ':'")
    return users


def _array(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _addresses(addresses: tuple[str, ...]) -> tuple[str, ...]:
    for address in addresses:
        try:
            ip_address(address)
        except ValueError:
            raise ValueError("must be an array of IP addresses") from None
    return addresses


def _as_remote_access(data: dict[str, Any]) -> bool:
    return bool(data.get("remote_access_allowed", False))


class HttpSettings(Options):
    """The HTTP server. AuthenticationEnabled, where unset, is the value of RemoteAccessAllowed."""

    server_enabled: bool = Field(default=True, validation_alias="HttpServerEnabled")
    port: Port = Field(default=8042, validation_alias="HttpPort")
    bind_addresses: Annotated[tuple[str, ...], BeforeValidator(_array), AfterValidator(_addresses)] = Field(
        default=(), validation_alias="HttpBindAddresses"
    )
    remote_access_allowed: bool = Field(default=False, validation_alias="RemoteAccessAllowed")
    authentication_enabled: bool = Field(default_factory=_as_remote_access, validation_alias="AuthenticationEnabled")
    registered_users: Annotated[Mapping[str, Secret], AfterValidator(_user_names)] = Field(
        default_factory=dict, validation_alias="RegisteredUsers"
    )
    maximum_request_body_megabytes: int = Field(default=8192, ge=1, validation_alias="MaximumRequestBodySizeMB")
    ssl_enabled: bool = Field(default=False, validation_alias="SslEnabled")
    ssl_certificate: Folder = Field(default=Path("certificate.pem"), validation_alias="SslCertificate")
    ssl_minimum_protocol_version: int = Field(default=4, ge=0, le=5, validation_alias="SslMinimumProtocolVersion")
    ssl_ciphers_accepted: Ciphers = Field(default=(), validation_alias="SslCiphersAccepted")
    ssl_verify_peers: bool = Field(default=False, validation_alias="SslVerifyPeers")
    ssl_trusted_client_certificates: Folder = Field(
        default=Path("trustedClientCertificates.pem"), validation_alias="SslTrustedClientCertificates"
    )

    compression_enabled: bool = Field(default=False, validation_alias="HttpCompressionEnabled")

    @property
    def maximum_request_body_bytes(self) -> int:
        """MaximumRequestBodySizeMB in bytes."""
        return self.maximum_request_body_megabytes << 20

    @model_validator(mode="after")
    def _somebody_may_enter(self) -> Self:
        if self.authentication_enabled and not self.registered_users:
            raise ConfigurationError(
                "RegisteredUsers",
                "must name at least one user, because AuthenticationEnabled is true "
                "(it is also true if unset while RemoteAccessAllowed is true)",
            )
        if not self.remote_access_allowed and not all(ip_address(it).is_loopback for it in self.bind_addresses):
            raise ConfigurationError(
                "HttpBindAddresses", "names an address of the network, where RemoteAccessAllowed is false"
            )
        return self
