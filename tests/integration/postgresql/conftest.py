"""One server with TLS, a Unix socket, and a user for each way to authenticate; all may do everything."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import trustme

from cluster.config import PostgreSQLSettings, load_settings
from cluster.database import Database
from cluster.schema.install import install_database
from tests.support.tuned_server import TunedPostgreSQL
from workers.local.postgresql import ENVIRONMENT

PASSWORDS = {"scram_user": "scram-hunter2", "md5_user": "md5-hunter2", "tls_user": "tls-hunter2"}
RULES = [
    "local all orthanc scram-sha-256",
    "local all peer_user peer map=me",
    "hostssl all cert_user 127.0.0.1/32 cert",
    "hostssl all tls_user 127.0.0.1/32 scram-sha-256",
    "hostnossl all plain_user 127.0.0.1/32 trust",
    "host all md5_user 127.0.0.1/32 md5",
    "host all orthanc,scram_user,crowd 127.0.0.1/32 scram-sha-256",
    "host replication all 127.0.0.1/32 scram-sha-256",
]


class Authority:
    """A certificate authority of the tests, with what PostgreSQL's clients take: files."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(mode=0o700)
        self.ca = trustme.CA()
        self.root = folder / "root.pem"
        self.ca.cert_pem.write_to_path(str(self.root))
        self.folder = folder

    def client(self, name: str) -> dict[str, str]:
        """libpq's parameters for a client certificate with that common name."""
        leaf = self.ca.issue_cert(f"{name}@archive.example", common_name=name)
        certificate, key = self.folder / f"{name}.crt", self.folder / f"{name}.key"
        leaf.cert_chain_pems[0].write_to_path(str(certificate))
        key.touch(mode=0o600)
        leaf.private_key_pem.write_to_path(str(key))
        return {"sslcert": str(certificate), "sslkey": str(key)}


@pytest.fixture(scope="package")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority") / "ours")


@pytest.fixture(scope="package")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Somebody whom the server does not trust, and who did not sign its certificate."""
    return Authority(tmp_path_factory.mktemp("authority") / "stranger")


@pytest.fixture(scope="package")
def tls_server(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> Iterator[TunedPostgreSQL]:
    with pytest.MonkeyPatch.context() as patch:
        # It chooses the catalogue of messages for any locale but C.
        patch.setattr("workers.local.postgresql.ENVIRONMENT", ENVIRONMENT | {"LANGUAGE": "de"})
        server = TunedPostgreSQL(tmp_path_factory.mktemp("tls"))
        server.start()
    with server:
        server.execute("ALTER SYSTEM SET lc_messages = 'C'")
        server.serve_tls(authority.ca, authority.ca.issue_cert("localhost"))
        for name, password in PASSWORDS.items():
            kind = "md5" if name == "md5_user" else "scram-sha-256"
            role = f"CREATE ROLE {name} LOGIN SUPERUSER PASSWORD '{password}'"
            server.execute(f"SET password_encryption = '{kind}'; {role}")
        for name in ("peer_user", "cert_user", "plain_user"):
            server.execute(f"CREATE ROLE {name} LOGIN SUPERUSER")
        install_database(server.uri())
        server.let_in(RULES)
        yield server


@pytest.fixture
def open_database() -> Iterator[Any]:
    """`open_database(**options of section PostgreSQL)`; closed at the end."""
    with ExitStack() as stack:

        def open_(uri: str | None = None, *, budget: float = 10.0, **options: Any) -> Database:
            postgresql = options | ({"ConnectionUri": uri} if uri else {})
            database = Database(section(**postgresql), time_budget_seconds=budget)
            database.open()
            stack.callback(database.close)
            return database

        yield open_


def section(**options: Any) -> PostgreSQLSettings:
    """Section PostgreSQL with these options and no other."""
    return load_settings([], {}, overrides={"PostgreSQL": {"EnableIndex": True} | options}).postgresql
