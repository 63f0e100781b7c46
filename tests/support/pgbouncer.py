"""PgBouncer, as between many nodes and one server; and the same tests through it.

TESTS_THROUGH=pgbouncer in the environment puts it, in transaction mode, between the session's server and every settings
object of the tests; what the tests themselves look at the database with goes straight to the server.
"""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

import psycopg

from tests.support.servers import skip_or_fail
from workers.local.children import wait_until
from workers.local.ports import free_port
from workers.local.postgresql import LocalPostgreSQL

_PORTS = "TESTS_PGBOUNCER_PORTS"
"""For processes that tests start: the server's port, and PgBouncer's in front of it."""


class PgBouncer:
    """Pools the connections to one server. Context manager; skips the test where PgBouncer is not installed."""

    def __init__(self, server: LocalPostgreSQL, *, pool_mode: str = "transaction", pool_size: int = 10) -> None:
        program = shutil.which("pgbouncer") or shutil.which("/usr/sbin/pgbouncer")
        if program is None:
            skip_or_fail("pgbouncer", "PgBouncer")
        self._server = server
        self.port = free_port()
        # Below nobody's reach it could not be read: as root PgBouncer has to be somebody else.
        self._folder = tempfile.TemporaryDirectory(prefix="pgbouncer-")
        folder = Path(self._folder.name)
        password = psycopg.conninfo.conninfo_to_dict(server.uri())["password"]
        (folder / "users.txt").write_text(f'"orthanc" "{password}"\n')
        settings = {
            "listen_addr": "127.0.0.1",
            "listen_port": self.port,
            "unix_socket_dir": "",
            "auth_type": "scram-sha-256",
            "auth_file": folder / "users.txt",
            "logfile": folder / "log",
            "pool_mode": pool_mode,
            "default_pool_size": pool_size,
            "server_idle_timeout": 5,
            "max_client_conn": 400,
            "admin_users": "orthanc",
        }
        lines = ["[databases]", f"* = host=127.0.0.1 port={server.port}", "[pgbouncer]"]
        file = folder / "pgbouncer.ini"
        file.write_text("\n".join([*lines, *(f"{name} = {value}" for name, value in settings.items()), ""]))
        self.log = folder / "log"
        self._command = [program, "--quiet", str(file)]
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        options = {}
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            for path in (self._folder.name, *Path(self._folder.name).iterdir()):
                os.chown(path, nobody.pw_uid, nobody.pw_gid)
            options = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
        self._process = subprocess.Popen(self._command, **options)
        assert wait_until(self._answers, 10), self.log.read_text()
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process is not None
        self._process.terminate()
        self._process.wait(10)
        self._folder.cleanup()

    def uri(self, database: str = "orthanc") -> str:
        return self._server.uri(database).replace(f":{self._server.port}/", f":{self.port}/")

    def _answers(self) -> bool:
        try:
            with psycopg.connect(self.uri("pgbouncer"), autocommit=True, prepare_threshold=None):
                return True
        except psycopg.OperationalError:
            return False


@contextmanager
def everything_through(bouncer: PgBouncer, server: LocalPostgreSQL) -> Iterator[None]:
    """In the block `through` leads to the pooler."""
    before = os.environ.get(_PORTS, "")
    os.environ[_PORTS] = f"{server.port}:{bouncer.port}"
    try:
        yield
    finally:
        os.environ[_PORTS] = before


def through(uri: str) -> str:
    """The URI that leads to the same database through the pooler, or the same URI if there is none."""
    server, _, bouncer = os.environ.get(_PORTS, "").partition(":")
    return uri.replace(f":{server}/", f":{bouncer}/") if server else uri


def direct_connection(uri: str) -> dict[str, str]:
    """What section Cluster has to say where `through` leads to the pooler."""
    return {"DirectConnectionUri": uri} if through(uri) != uri else {}
