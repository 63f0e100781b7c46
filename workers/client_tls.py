"""TLS of a DICOM client, and its options on a command line."""

import functools
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from cluster.errors import ConfigurationError

_FILE = click.Path(path_type=Path)


@dataclass(frozen=True, slots=True)
class ClientTls:
    """PEM files: the authorities that the acceptor's certificate may come from, and what this side shows."""

    trusted: Path
    certificate: Path | None = None
    key: Path | None = None

    def context(self) -> ssl.SSLContext:
        """For new associations; raises ConfigurationError.

        The certificate has to come from one of the authorities. The host name in it is not compared: nodes are behind
        balancers and Services, and DICOM's own tools (DCMTK) do not compare it either.
        """
        try:
            context = ssl.create_default_context(cafile=self.trusted)
            context.check_hostname = False
            if self.certificate is not None:
                context.load_cert_chain(self.certificate, self.key, password="")
        except (OSError, ValueError) as error:  # SSLError is an OSError
            raise ConfigurationError("--tls-trusted", f"or --tls-certificate cannot be used: {error}") from None
        return context


def tls_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """--tls-trusted, which asks for TLS, --tls-certificate and --tls-key; the command gets `tls` or None."""

    @click.option("--tls-trusted", type=_FILE, help="DICOM over TLS: PEM file with the nodes' authorities.")
    @click.option("--tls-certificate", type=_FILE, help="PEM file with the certificate to be shown.")
    @click.option("--tls-key", type=_FILE, help="Its private key, where that is in another file.")
    @functools.wraps(command)
    def with_tls(tls_trusted: Path | None, tls_certificate: Path | None, tls_key: Path | None, **given: Any) -> Any:
        if tls_trusted is None and (tls_certificate or tls_key):
            raise ConfigurationError("--tls-trusted", "is missing: whom is the node's certificate to come from?")
        tls = None if tls_trusted is None else ClientTls(tls_trusted, tls_certificate, tls_key)
        return command(tls=tls, **given)

    return with_tls
