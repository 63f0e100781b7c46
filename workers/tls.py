"""TLS contexts of the two doors, from Orthanc's options (interop/config.md, sections 3 and 4).

Certificates are read when a door opens, and again once their files have changed (`renewed_tls.py`).
"""

import ssl
import warnings
from collections.abc import Sequence
from pathlib import Path

from cluster.config import DicomSettings, HttpSettings
from cluster.errors import ConfigurationError
from workers.renewed_tls import renewed

_LOWEST = ssl.TLSVersion.MINIMUM_SUPPORTED
_MINIMUM_VERSIONS = {
    0: _LOWEST,
    1: _LOWEST,
    2: ssl.TLSVersion.TLSv1,
    3: ssl.TLSVersion.TLSv1_1,
    4: ssl.TLSVersion.TLSv1_2,
    5: ssl.TLSVersion.TLSv1_3,
}
"""Orthanc's numbers. Whether OpenSSL really speaks the oldest ones is a matter of its own security level."""

_OF_A_SECRET = ("tls.crt", "tls.key")
"""Keys of a Secret of type kubernetes.io/tls, which are files where it is mounted."""

_TLS_1_2 = 4
_PREFIX_OF_TLS_1_3 = "TLS_"
"""Python cannot choose among the suites of TLS 1.3; OpenSSL's own three are all sound."""


def dicom_server_context(dicom: DicomSettings) -> ssl.SSLContext | None:
    """The context of the DICOM door, or None where DicomTlsEnabled is false; raises ConfigurationError.

    DicomTlsMinimumProtocolVersion 0 stands for the profile of BCP 195, which begins with TLS 1.2. Without
    DicomTlsRemoteCertificateRequired senders are not even asked for a certificate, as in Orthanc since 1.12.4.
    """
    if not dicom.tls_enabled:
        return None
    certificate, key = dicom.tls_certificate, dicom.tls_private_key
    trusted = dicom.tls_trusted_certificates if dicom.tls_remote_certificate_required else None
    assert certificate is not None
    assert key is not None

    def make() -> ssl.SSLContext:
        context = _server_context(
            dicom.tls_minimum_protocol_version or _TLS_1_2, dicom.tls_ciphers_accepted, "DicomTlsCiphersAccepted"
        )
        _load_certificate(context, "DicomTlsCertificate", certificate, key)
        if trusted is not None:
            _require_certificates(context, "DicomTlsTrustedCertificates", trusted)
        return context

    return renewed(make, [certificate, key, *([trusted] if trusted else [])])


def http_server_context(http: HttpSettings) -> ssl.SSLContext | None:
    """The context of the HTTP door, or None where SslEnabled is false; raises ConfigurationError."""
    if not http.ssl_enabled:
        return None
    files = [http.ssl_certificate]
    if http.ssl_certificate.is_dir():
        files = [http.ssl_certificate / name for name in _OF_A_SECRET]
    trusted = [http.ssl_trusted_client_certificates] if http.ssl_verify_peers else []

    def make() -> ssl.SSLContext:
        context = _server_context(http.ssl_minimum_protocol_version, http.ssl_ciphers_accepted, "SslCiphersAccepted")
        _load_certificate(context, "SslCertificate", *files)
        for file in trusted:
            _require_certificates(context, "SslTrustedClientCertificates", file)
        return context

    return renewed(make, [*files, *trusted])


def _server_context(minimum: int, ciphers: Sequence[str], option: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.options |= ssl.OP_NO_RENEGOTIATION
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # who lowers the minimum has read about it
        context.minimum_version = _MINIMUM_VERSIONS[minimum]
    older = [cipher for cipher in ciphers if not cipher.startswith(_PREFIX_OF_TLS_1_3)]
    if older:
        try:
            context.set_ciphers(":".join(older))
        except ssl.SSLError:
            raise ConfigurationError(option, "OpenSSL knows none of the cipher suites") from None
    _check_newer(context, set(ciphers) - set(older), option)
    return context


def _check_newer(context: ssl.SSLContext, wanted: set[str], option: str) -> None:
    offered = {suite["name"] for suite in context.get_ciphers() if suite["protocol"] == "TLSv1.3"}
    if wanted and wanted != offered:
        raise ConfigurationError(
            option,
            "cannot choose among the suites of TLS 1.3: name all or none of " + ", ".join(sorted(offered)),
        )


def _load_certificate(context: ssl.SSLContext, option: str, certificate: Path, key: Path | None = None) -> None:
    try:
        # An empty password: an encrypted key is an error and no question on the terminal.
        context.load_cert_chain(certificate, key, password="")
    except (OSError, ValueError) as error:  # SSLError is an OSError
        what = f"{certificate} and {key}" if key else f"{certificate}"
        raise ConfigurationError(option, f"certificate and private key cannot be used: {_why(error)}: {what}") from None


def _require_certificates(context: ssl.SSLContext, option: str, trusted: Path) -> None:
    try:
        context.load_verify_locations(trusted)
    except (OSError, ValueError) as error:
        raise ConfigurationError(option, f"cannot be used: {_why(error)}: {trusted}") from None
    context.verify_mode = ssl.CERT_REQUIRED


def _why(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        return (error.reason or "not PEM, or encrypted").replace("_", " ").lower()
    return (isinstance(error, OSError) and error.strerror) or "not PEM, or encrypted"
