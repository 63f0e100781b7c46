"""A PostgreSQL server with settings, certificates and rules of access of its own."""

import getpass
import signal
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import psycopg
import trustme

from workers.local import unprivileged
from workers.local.children import wait_until
from workers.local.postgresql import LocalPostgreSQL


class TunedPostgreSQL(LocalPostgreSQL):
    """A server, not durable, that takes `settings` at its start; on a Unix socket too. Context manager."""

    def __init__(self, folder: Path, settings: Mapping[str, str] | None = None, *, fast: bool = True) -> None:
        super().__init__(folder, fast=fast)
        self.settings = dict(settings or {})
        self.data = self.folder / "data"
        # The path of a Unix socket has at most 107 bytes, and the server may be another user.
        self._sockets = tempfile.TemporaryDirectory(prefix="pg-")
        self.sockets = Path(self._sockets.name)

    def stop(self) -> None:
        super().stop()
        self._sockets.cleanup()

    def _options(self, port: int) -> list[str]:
        self.sockets.mkdir(exist_ok=True)
        unprivileged.give(self.sockets, self._identity)
        settings = {"unix_socket_directories": str(self.sockets)} | self.settings
        return [*super()._options(port), *(f"--{name}={value}" for name, value in settings.items())]

    def write(self, name: str, text: bytes | str) -> Path:
        """Make a file in the data folder that the server, and nobody else, can read."""
        file = self.data / name
        file.touch(mode=0o600)
        file.write_bytes(text.encode() if isinstance(text, str) else text)
        unprivileged.give(file, self._identity)
        return file

    def serve_tls(self, authority: trustme.CA, certificate: trustme.LeafCert) -> None:
        """Take TLS connections from now on, and certificates of clients that `authority` has signed."""
        self.write("server.key", certificate.private_key_pem.bytes())
        self.write("server.crt", b"".join(blob.bytes() for blob in certificate.cert_chain_pems))
        self.write("root.crt", authority.cert_pem.bytes())
        self.execute("ALTER SYSTEM SET ssl_ca_file = 'root.crt'", "ALTER SYSTEM SET ssl = on")
        self.reload()

    def let_in(self, rules: Sequence[str]) -> None:
        """Replace pg_hba.conf; whoever runs the tests is the user `me` of pg_ident.conf in map `me`."""
        users = {getpass.getuser(), "nobody"}  # root in a namespace is nobody
        self.write("pg_ident.conf", "".join(f"me {user} peer_user\n" for user in users))
        self.write("pg_hba.conf", "".join(f"{rule}\n" for rule in rules))
        self.reload()

    def restart(self, *, immediate: bool = False) -> None:
        """As `pg_ctl restart -m fast`, or `-m immediate`, after which the server has to recover."""
        self._signal(signal.SIGQUIT if immediate else signal.SIGINT)
        assert wait_until(lambda: not self.running, 30)
        self._ended()
        self.start()

    def execute(self, *statements: str) -> None:
        with psycopg.connect(self.uri(), autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement)

    def reload(self) -> None:
        """Have the configuration read again, and wait for it."""
        with psycopg.connect(self.uri(), autocommit=True) as connection:
            loaded = "SELECT pg_conf_load_time()"
            before = connection.execute(loaded).fetchone()
            connection.execute("SELECT pg_reload_conf()")
            # A session follows its postmaster between two statements.
            assert wait_until(lambda: connection.execute(loaded).fetchone() != before, 10)
