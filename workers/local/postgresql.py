"""A PostgreSQL server of our own, in one folder."""

import os
import secrets
import shutil
import signal
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

from cluster.errors import ConfigurationError, DatabaseUnavailable
from workers.local import children, ports, postgresql_binaries, unprivileged
from workers.local.postgresql_binaries import Binaries
from workers.local.unprivileged import Identity

USER = "orthanc"
START_SECONDS = 120  # includes crash recovery
STOP_SECONDS = 60
PORT_ATTEMPTS = 3
# Nothing of the caller's environment (PGDATA, PGPORT, LC_MESSAGES, …) may change what the programs do.
ENVIRONMENT = {"PATH": os.defpath, "LC_ALL": "C", "PGCONNECT_TIMEOUT": "10"}

SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "100",
    "shared_buffers": "128MB",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] %a ",
    "cluster_name": "orthanc-cluster",
}
FAST_SETTINGS = {"fsync": "off", "full_page_writes": "off", "shared_buffers": "32MB"}


class LocalPostgreSQL:
    """A server that lives at most as long as this process, on data that live on.

    The folder holds `data` (PGDATA), `password` (mode 600), `port`, `lock` and `postgresql.log`. The server takes
    connections on loopback TCP only, with SCRAM, from the one user `orthanc`, and is durable unless `fast`, which is
    for tests. If this process dies, the server shuts down by itself (Linux).

    `binaries` and `identity` are chosen by `postgresql_binaries.find` and `unprivileged.choose` unless given.
    """

    def __init__(
        self, folder: Path, *, fast: bool = False, binaries: Binaries | None = None, identity: Identity | None = None
    ) -> None:
        self.folder = folder.absolute()
        self.log = self.folder / "postgresql.log"
        self._data = self.folder / "data"
        self._fast = fast
        self._wanted_binaries = binaries
        self._wanted_identity = identity
        self._binaries: Binaries | None = None
        self._executable: Binaries | None = None
        self._identity = unprivileged.OURSELVES
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, *, lock_wait_seconds: float = 10) -> None:
        """Start the server, after creating its data if the folder is new, and return when it answers.

        Waits up to `lock_wait_seconds` for an earlier server on the folder to end, as one does whose parent was
        killed. Raises ConfigurationError when one goes on running there or no binaries fit, DatabaseUnavailable with
        the end of the log when the server does not start. Does nothing when it runs already.
        """
        if self.running:
            return
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            with children.folder_lock(self.folder / "lock", lock_wait_seconds) as lock:
                self._prepare()
                self._launch(lock)
            self.create_database(USER)
        except BlockingIOError:
            raise ConfigurationError(str(self.folder), "a PostgreSQL server is running on this folder") from None
        except BaseException:
            self.kill()
            raise

    def stop(self) -> None:
        """Shut down, cutting connections but losing nothing; returns when the server has ended."""
        if self.running:
            self._signal(signal.SIGINT)  # "fast shutdown"
            if not children.wait_until(lambda: not self.running, STOP_SECONDS):
                self._signal(signal.SIGQUIT)  # "immediate": recovers at the next start
        self._ended()

    def kill(self) -> None:
        """End the postmaster as a crash would; its backends notice and end, which the next start waits for."""
        if self.running:
            self._signal(signal.SIGKILL)
        self._ended()

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int | None:
        """Process id of the postmaster while it runs."""
        return self._process.pid if self._process is not None and self.running else None

    @property
    def port(self) -> int:
        """The loopback TCP port; the same after each start, unless another program took it in between."""
        return int((self.folder / "port").read_text())

    def uri(self, database: str = USER) -> str:
        """Connection URI, password included."""
        password = (self.folder / "password").read_text().strip()
        return f"postgresql://{USER}:{quote(password)}@127.0.0.1:{self.port}/{quote(database, safe='')}"

    def create_database(self, name: str) -> None:
        """Create an empty database unless there is one of that name. Raises DatabaseUnavailable if it cannot."""
        self.query(
            "SELECT format('CREATE DATABASE %I', :'name')"
            " WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = :'name') \\gexec\n",
            name=name,
        )

    def query(self, script: str, name: str = "") -> str:
        """Have psql run a script as the one user in database `postgres`; what it prints, bare.

        `name` is the psql variable of that name. Raises DatabaseUnavailable if a statement fails.
        """
        assert self._binaries is not None, "start first"
        psql = str(self._binaries.program("psql"))
        options = (
            "--no-psqlrc",
            "--quiet",
            "--tuples-only",
            "--no-align",
            "--dbname=postgres",
            "--set=ON_ERROR_STOP=1",
        )
        answer = subprocess.run(
            [psql, *options, f"--set=name={name}"],
            input=script,
            env={
                **ENVIRONMENT,
                "PGHOST": "127.0.0.1",
                "PGPORT": str(self.port),
                "PGUSER": USER,
                "PGPASSWORD": (self.folder / "password").read_text().strip(),
            },
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
        if answer.returncode != 0:
            raise DatabaseUnavailable(f"PostgreSQL in {self.folder} says: {answer.stdout.strip()}")
        return answer.stdout.strip()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    # -- start ---------------------------------------------------------------------------------------------------

    def _prepare(self) -> None:
        """Choose binaries and identity; create the data if there are none; hand both to the identity."""
        version = self._data / "PG_VERSION"
        major = int(version.read_text()) if version.exists() else None
        self._binaries = self._wanted_binaries or postgresql_binaries.find(major)
        self._identity = self._wanted_identity or unprivileged.choose(self._data)
        self._executable = unprivileged.executable(self._binaries, self._identity)
        if self._identity.owner is not None:
            os.chown(self.folder, *self._identity.owner)
        if major is None:
            self._initialise()
        elif self._identity.owner not in (None, (self._data.stat().st_uid, self._data.stat().st_gid)):
            unprivileged.give(self._data, self._identity)
        self._discard_stale_pid_file()

    def _initialise(self) -> None:
        """Make the data beside their final place, so that an interrupted attempt cannot be taken for data."""
        password = self.folder / "password"
        with open(os.open(password, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(secrets.token_urlsafe(24) + "\n")
        unprivileged.give(password, self._identity)
        unfinished = self.folder / "data.unfinished"
        if unfinished.exists():
            shutil.rmtree(unfinished)
        unfinished.mkdir(mode=0o700)
        unprivileged.give(unfinished, self._identity)
        with unprivileged.reachable(unfinished, self._identity) as (name, descriptors):
            result = children.run(
                [
                    self._program("initdb"),
                    f"--pgdata={name}",
                    *("--encoding=UTF8", "--locale=C.UTF-8", f"--username={USER}"),
                    *("--auth=scram-sha-256", f"--pwfile={name}/../password"),
                    *(["--no-sync"] if self._fast else []),
                ],
                identity=self._identity.options,
                env=ENVIRONMENT,
                pass_fds=descriptors,
            )
        if result.returncode != 0:
            raise DatabaseUnavailable(f"initdb in {self.folder} failed: {result.stdout.strip()}")
        unfinished.rename(self._data)

    def _launch(self, lock: int) -> None:
        for _ in range(PORT_ATTEMPTS):
            port = self._remembered_free_port()
            with unprivileged.reachable(self._data, self._identity) as (name, descriptors):
                self._process = children.launch(
                    [self._program("postgres"), "-D", name, *self._options(port)],
                    log=self.log,
                    death_signal=signal.SIGINT,
                    identity=self._identity.options,
                    env=ENVIRONMENT,
                    pass_fds=[lock, *descriptors],
                )
            children.wait_until(lambda: self._accepts_connections() or not self.running, START_SECONDS)
            if self._accepts_connections():
                return
            still_starting = self.running
            self.kill()
            if still_starting or ports.is_free(port):
                break
        raise DatabaseUnavailable(
            f"PostgreSQL in {self.folder} did not start; {self.log} ends with\n{children.log_tail(self.log)}"
        )

    def _options(self, port: int) -> list[str]:
        # On the command line and not in postgresql.conf, so that old folders get them as well.
        settings = {**SETTINGS, **(FAST_SETTINGS if self._fast else {}), "port": str(port)}
        return [f"--{name}={value}" for name, value in settings.items()]

    def _remembered_free_port(self) -> int:
        remembered = self.folder / "port"
        if remembered.exists() and ports.is_free(self.port):
            return self.port
        port = ports.free_port()
        remembered.write_text(f"{port}\n")
        return port

    def _accepts_connections(self) -> bool:
        """The postmaster says so in the eighth line of its pid file, which is what pg_ctl waits for as well."""
        try:
            lines = (self._data / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return False
        return len(lines) >= 8 and lines[7].strip() == "ready" and int(lines[0]) == self.pid

    def _discard_stale_pid_file(self) -> None:
        """After a crash PostgreSQL refuses to start if the old pid is in use by another program of the same user.

        In containers that is usual, because every start hands out the same few pids.
        """
        pid_file = self._data / "postmaster.pid"
        try:
            pid = int(pid_file.read_text().splitlines()[0])
            if os.path.samestat(os.stat(f"/proc/{pid}/cwd"), self._data.stat()):
                return
        except (OSError, ValueError, IndexError):
            return  # nothing there that PostgreSQL could not judge better
        pid_file.unlink()

    def _program(self, name: str) -> Path:
        assert self._executable is not None
        return self._executable.program(name)

    # -- end -----------------------------------------------------------------------------------------------------

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def _ended(self) -> None:
        if self._process is not None:
            self._process.wait()
            self._process = None
        if self._executable is not None and self._binaries is not None:
            unprivileged.remove_copy(self._executable, self._binaries)
            self._executable = None
