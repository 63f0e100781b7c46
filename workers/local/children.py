"""Child processes that do not outlive us, and what every owner of one needs: waiting, exit statuses, log tails."""

import fcntl
import functools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

TRAMPOLINE = Path(__file__).with_name("trampoline.py")
POLL_SECONDS = 0.02


def launch(
    argv: Sequence[str | Path],
    *,
    log: Path,
    death_signal: signal.Signals,
    identity: Sequence[str] = (),
    env: Mapping[str, str] | None = None,
    pass_fds: Sequence[int] = (),
) -> subprocess.Popen[bytes]:
    """Start a program in a session of its own, its output appended to `log`.

    Ctrl-C on our terminal does not reach it; when this process dies, however it dies, it gets `death_signal` (Linux).
    `identity` are options of `trampoline.py`; `env` is the whole environment, ours if None. A program that cannot be
    executed shows as exit status 1 with the reason in the log.
    """
    command = _trampolined(argv, death_signal, identity)

    def start() -> subprocess.Popen[bytes]:
        with log.open("ab") as output:
            return subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=env,
                pass_fds=pass_fds,
                start_new_session=True,
            )

    return _launcher(os.getpid()).submit(start).result()


def run(
    argv: Sequence[str | Path],
    *,
    identity: Sequence[str] = (),
    env: Mapping[str, str] | None = None,
    pass_fds: Sequence[int] = (),
) -> subprocess.CompletedProcess[str]:
    """Run a program to its end under the same identity as `launch` would, and return its two outputs as one text."""
    command = _trampolined(argv, signal.SIGKILL, identity)
    return subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env=env,
        pass_fds=pass_fds,
        check=False,
    )


def wait_until(condition: Callable[[], bool], timeout_seconds: float) -> bool:
    """Poll `condition` until it holds; False when it did not in time."""
    deadline = time.monotonic() + timeout_seconds
    while not condition():
        if time.monotonic() >= deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True


def describe_exit(returncode: int) -> str:
    """``exit status 1``, or ``killed by SIGKILL`` for subprocess's negative codes."""
    if returncode >= 0:
        return f"exit status {returncode}"
    try:
        return f"killed by {signal.Signals(-returncode).name}"
    except ValueError:
        return f"killed by signal {-returncode}"


def log_tail(path: Path, lines: int = 15) -> str:
    """The last lines of a log, for an error message; reads at most 16 KiB."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - 16384))
            text = file.read().decode(errors="replace")
    except FileNotFoundError:
        return "(no log)"
    return "\n".join(text.splitlines()[-lines:])


@contextmanager
def folder_lock(path: Path, timeout_seconds: float) -> Iterator[int]:
    """Hold an exclusive lock on the file `path`; yields its descriptor for `pass_fds`.

    A child that inherits the descriptor keeps the lock for as long as it, or any child of its own, lives: so the lock
    tells that a server still works in the folder even when the process that started it is gone. Not for NFS.

    Raises BlockingIOError when somebody else holds it for all of `timeout_seconds`.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        if not wait_until(lambda: _try_lock(descriptor), timeout_seconds):
            raise BlockingIOError(f"{path} is locked by a running server")
        yield descriptor
    finally:
        os.close(descriptor)


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _trampolined(
    argv: Sequence[str | Path], death_signal: signal.Signals, identity: Sequence[str]
) -> Sequence[str | Path]:
    return [
        *(sys.executable, "-I", "-S", str(TRAMPOLINE)),
        *("--parent", str(os.getpid()), "--death-signal", str(int(death_signal))),
        *identity,
        *argv,
    ]


@functools.cache
def _launcher(pid: int) -> ThreadPoolExecutor:
    """The one thread of this process that starts children: the kernel sends the death signal when the starting
    *thread* ends, so a child started by a short-lived thread would die with that. A fork (`pid`) needs its own."""
    return ThreadPoolExecutor(max_workers=1, thread_name_prefix=f"launcher-{pid}")
