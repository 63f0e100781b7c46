"""PostgreSQL twice: a primary that answers a COMMIT when its standby has it too, and what becomes of both.

Invariant: what a client was told is on the medium of both, or of the one that is there; the server that was failed
over from never comes back with what it knew, but as a copy of the other.
"""

import contextlib
import os
import shutil
import signal
import time
from pathlib import Path

from cluster.errors import DatabaseUnavailable
from workers.local import children, postgresql_binaries
from workers.local.children import wait_until
from workers.local.postgresql import ENVIRONMENT, LocalPostgreSQL

_REPLICATION_SECONDS = 60.0
_ENDING_SECONDS = 30.0
_AGAIN_SECONDS = 0.2


class Standby(LocalPostgreSQL):
    """A streaming standby of a running server, until it is promoted."""

    def copy_from(self, primary: LocalPostgreSQL) -> None:
        """Take over everything that the primary holds.

        Raises:
            DatabaseUnavailable: the copy failed.
        """
        self.folder.mkdir(mode=0o700, exist_ok=True)
        data = self.folder / "data"
        shutil.rmtree(data, ignore_errors=True)
        shutil.copy(primary.folder / "password", self.folder)
        copied = children.run(
            [
                *(
                    postgresql_binaries.find().program("pg_basebackup"),
                    f"--pgdata={data}",
                    f"--dbname={primary.uri('')}",
                ),
                # A checkpoint that is not fast takes minutes.
                *("--checkpoint=fast", "--write-recovery-conf", "--no-sync"),
            ],
            env=ENVIRONMENT,
        )
        if copied.returncode != 0:
            raise DatabaseUnavailable(f"pg_basebackup of {primary.folder}: {copied.stdout.strip()}")

    def promote(self) -> None:
        """Become a primary; returns when it is one."""
        self.query("SELECT pg_promote();")

    def _options(self, port: int) -> list[str]:
        # After a crash of the primary it would look for it only every five seconds.
        return [*super()._options(port), "--wal_retrieve_retry_interval=200ms", "--wal_keep_size=512MB"]

    def _accepts_connections(self) -> bool:
        """In the pid file a standby is never "ready"."""
        pid_file = self.folder / "data" / "postmaster.pid"
        lines = pid_file.read_text().splitlines() if pid_file.exists() else []
        return len(lines) >= 8 and lines[7].strip() in ("standby", "ready") and int(lines[0]) == self.pid


class Databases:
    """The primary, and its standby where there shall be one; for one thread at a time.

    `hosts` are the ports of both, which stay: clients are given them once and ask for the one that takes writes.
    """

    def __init__(self, folder: Path, *, with_standby: bool) -> None:
        self.primary: LocalPostgreSQL = Standby(folder / "postgresql")
        self.standby: Standby | None = Standby(folder / "standby") if with_standby else None

    @property
    def servers(self) -> list[LocalPostgreSQL]:
        """Both, in the order of their folders' names."""
        both = [self.primary, *([self.standby] if self.standby else [])]
        return sorted(both, key=lambda server: server.folder)

    def start(self) -> None:
        """Start what does not run."""
        self.primary.start()
        if self.standby is not None:
            if not (self.standby.folder / "data" / "PG_VERSION").exists():
                self.standby.copy_from(self.primary)
            self._replicate()

    def stop(self) -> None:
        """The primary first, so that it waits for nobody."""
        self.primary.stop()
        if self.standby is not None:
            self.standby.stop()

    def crash(self, server: LocalPostgreSQL, number: signal.Signals) -> None:
        """SIGKILL to the postmaster, or SIGQUIT, which is ``pg_ctl stop -m immediate``."""
        if number is signal.SIGQUIT and (pid := server.pid) is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
            wait_until(lambda: not server.running, _ENDING_SECONDS)
        server.kill()

    def fail_over(self) -> None:
        """The primary is gone for good, its standby takes over, and a copy of that becomes the new standby.

        Raises:
            DatabaseUnavailable: the new primary cannot be copied.
        """
        assert self.standby is not None
        old, new = self.primary, self.standby
        old.kill()
        new.promote()
        self.primary = new
        # A COMMIT waits for a standby until there is none to wait for.
        _ask(new, "ALTER SYSTEM RESET synchronous_standby_names; SELECT pg_reload_conf();")
        self.standby = Standby(old.folder)
        self.standby.copy_from(new)
        self._replicate()

    def is_primary(self, server: LocalPostgreSQL) -> bool:
        """Whether it says so itself."""
        return _ask(server, "SELECT NOT pg_is_in_recovery();") == "t"

    def _replicate(self) -> None:
        """From now on a COMMIT is answered when the standby, which is started, has it too."""
        if not wait_until(self._is_replicated, _REPLICATION_SECONDS):
            raise DatabaseUnavailable("the standby does not follow its primary")

    def _is_replicated(self) -> bool:
        """Starts both each time: a postmaster whose startup process was killed runs for a moment still."""
        assert self.standby is not None
        self.primary.start()
        self.standby.start()
        with contextlib.suppress(DatabaseUnavailable):
            if self.primary.query("SHOW synchronous_standby_names;") != "*":
                self.primary.query("ALTER SYSTEM SET synchronous_standby_names = '*'; SELECT pg_reload_conf();")
            state = "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming' AND sync_state = 'sync';"
            return self.primary.query(state) == "1"
        return False


def _ask(server: LocalPostgreSQL, script: str) -> str:
    """Again while the server recovers: that a backend was killed makes all others end, and the data be recovered.

    Raises:
        DatabaseUnavailable: it did not for long.
    """
    deadline = time.monotonic() + _REPLICATION_SECONDS
    while True:
        try:
            return server.query(script)
        except DatabaseUnavailable:
            if time.monotonic() > deadline or not server.running:
                raise
            time.sleep(_AGAIN_SECONDS)


def standby_is_possible() -> str | None:
    """Why there can be no standby here; None if there can."""
    program = postgresql_binaries.find().program("pg_basebackup")
    return None if program.exists() else f"{program.parent} has no pg_basebackup"
