"""A certification authority of a test's own, and what it signs, as PEM files."""

import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import trustme


@dataclass(frozen=True)
class Certificate:
    """Certificate chain and private key, in files of their own and together (`both`, as SslCertificate wants it)."""

    certificate: Path
    key: Path
    both: Path


@dataclass(frozen=True)
class Authority:
    """An authority; `pem` is its certificate."""

    authority: trustme.CA
    folder: Path
    pem: Path

    @classmethod
    def create(cls, folder: Path) -> Self:
        folder.mkdir(parents=True, exist_ok=True)
        authority = trustme.CA()
        authority.cert_pem.write_to_path(folder / "ca.pem")
        return cls(authority, folder, folder / "ca.pem")

    def issue(self, name: str, *identities: str) -> Certificate:
        issued = self.authority.issue_cert(*(identities or ("127.0.0.1", "localhost")))
        files = [self.folder / f"{name}.{kind}" for kind in ("crt", "key", "pem")]
        # One of that name may be there already, of another test.
        files[0].unlink(missing_ok=True)
        for blob in issued.cert_chain_pems:
            blob.write_to_path(files[0], append=True)
        issued.private_key_pem.write_to_path(files[1])
        issued.private_key_and_cert_chain_pem.write_to_path(files[2])
        return Certificate(*files)

    def client(self, certificate: Certificate | None = None) -> ssl.SSLContext:
        """The context of a client that trusts this authority and, if asked, shows `certificate`."""
        context = ssl.create_default_context(cafile=self.pem)
        if certificate is not None:
            context.load_cert_chain(certificate.certificate, certificate.key)
        return context
