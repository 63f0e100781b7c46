"""The processes of one machine: started, watched, replaced when they die, stopped in reverse order."""

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from workers.local import children

GRACE_SECONDS = 30.0
WATCH_SECONDS = 0.05


class ManagedProcess:
    """A program in a process group of its own, its output appended to a log.

    When its first process ends, however it ends, what is left of the group is killed: the replacement of a node must
    not meet processes of the dead one. All methods can be called from any thread.
    """

    def __init__(
        self, name: str, argv: Sequence[str | Path], *, log_path: Path, env: Mapping[str, str] | None = None
    ) -> None:
        self.name = name
        self.log_path = log_path
        self._argv = argv
        self._env = env
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the program; it gets SIGTERM if this process dies (Linux). `env` None means our environment."""
        assert self.returncode is not None or self._process is None, f"{self.name} runs already"
        process = children.launch(self._argv, log=self.log_path, death_signal=signal.SIGTERM, env=self._env)
        with self._lock:
            self._process = process

    @property
    def pid(self) -> int | None:
        """Process id, also after the end; None before the first start."""
        return self._process.pid if self._process is not None else None

    @property
    def returncode(self) -> int | None:
        """Exit status of the last run, negative for a signal; None while it runs and before the first start."""
        with self._lock:
            process = self._process
            if process is None or process.returncode is not None:
                return process.returncode if process is not None else None
            # As long as the ended process is not waited for, its id, which is the group's, is nobody else's.
            if os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
                return None
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            return process.wait()

    @property
    def running(self) -> bool:
        return self._process is not None and self.returncode is None

    def wait_ready(self, condition: Callable[[], bool], timeout_seconds: float) -> None:
        """Return when `condition` holds.

        Raises ChildProcessError when the process ended first and TimeoutError when it took too long, both with the
        end of the log.
        """
        ready = False

        def settled() -> bool:
            nonlocal ready
            ready = condition()
            return ready or not self.running

        in_time = children.wait_until(settled, timeout_seconds)
        if ready:
            return
        log = f"{self.log_path} ends with\n{children.log_tail(self.log_path)}"
        if in_time:
            raise ChildProcessError(f"{self.name} ended before it was ready ({self.describe_end()}); {log}")
        raise TimeoutError(f"{self.name} was not ready after {timeout_seconds:g} seconds; {log}")

    def describe_end(self) -> str:
        """How the last run ended, in words."""
        return "running" if self.returncode is None else children.describe_exit(self.returncode)

    def terminate(self, grace_seconds: float = GRACE_SECONDS) -> None:
        """SIGTERM to the first process, which knows how to end its own; after `grace_seconds`, SIGKILL to the group."""
        self._signal(os.kill, signal.SIGTERM)
        if not children.wait_until(lambda: not self.running, grace_seconds):
            self.kill()

    def kill(self) -> None:
        """SIGKILL to the whole group; returns when the first process has ended."""
        self._signal(os.killpg, signal.SIGKILL)
        while self.running:
            children.wait_until(lambda: not self.running, GRACE_SECONDS)

    def _signal(self, send: Callable[[int, int], None], number: signal.Signals) -> None:
        with self._lock:
            # Not waited for yet, so the id is still this process's (and `send` cannot hit a stranger).
            if self._process is not None and self._process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    send(self._process.pid, number)


@dataclass(frozen=True, slots=True)
class Restart:
    """How a process that died is started again: at once the first time, then after ever longer pauses."""

    first_pause_seconds: float = 0.2
    longest_pause_seconds: float = 10.0
    steady_seconds: float = 30.0  # who ran for that long starts over with the first pause

    def pause(self, deaths: int) -> float:
        """Seconds to wait after that many deaths in a row (1, 2, …)."""
        if deaths <= 1:
            return 0.0
        return min(self.longest_pause_seconds, self.first_pause_seconds * 2.0 ** min(deaths - 2, 30))


@dataclass(slots=True)
class _Watched:
    process: ManagedProcess
    restart: Restart | None
    started_at: float
    deaths: int = 0
    dead: bool = False
    held: bool = False
    start_at: float | None = None  # when a dead one shall be started again


class Supervisor:
    """Owns processes: one thread watches them all and starts those again that died.

    `report(process, what)` is told of each death and each new start, in the watching thread; it must not raise.
    """

    def __init__(self, report: Callable[[ManagedProcess, str], None]) -> None:
        self._report = report
        self._watched: list[_Watched] = []
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, process: ManagedProcess, *, restart: Restart | None = None) -> None:
        """Start a process and watch it from now on; without `restart` its death is only reported."""
        with self._lock:
            if self._stopping.is_set():
                raise RuntimeError("this supervisor is stopping")
            process.start()
            self._watched.append(_Watched(process, restart, time.monotonic()))
            if self._thread is None:
                self._thread = threading.Thread(target=self._watch, name="supervisor", daemon=True)
                self._thread.start()

    def hold(self, process: ManagedProcess, held: bool = True) -> None:
        """Do not start a process again when it dies, or do so from now on, at once if it is dead."""
        with self._lock:
            for watched in self._watched:
                if watched.process is process:
                    watched.held = held
                    watched.deaths = 0

    def stop(self, grace_seconds: float = GRACE_SECONDS) -> None:
        """Stop watching, then end all processes, the last one started first, each with `grace_seconds`."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()
        with self._lock:
            for watched in reversed(self._watched):
                watched.process.terminate(grace_seconds)

    def _watch(self) -> None:
        while not self._stopping.wait(WATCH_SECONDS):
            with self._lock:
                watched_now = list(self._watched)
            for watched in watched_now:
                self._look_after(watched)

    def _look_after(self, watched: _Watched) -> None:
        now = time.monotonic()
        if watched.dead:
            if watched.start_at is not None and now >= watched.start_at and not watched.held:
                self._replace(watched, now)
        elif not watched.process.running:
            watched.dead = True
            if watched.restart is not None:
                steady = now - watched.started_at >= watched.restart.steady_seconds
                watched.deaths = 1 if steady else watched.deaths + 1
                watched.start_at = now + watched.restart.pause(watched.deaths)
            self._report(watched.process, watched.process.describe_end())

    def _replace(self, watched: _Watched, now: float) -> None:
        try:
            watched.process.start()
        except OSError as error:  # no memory or no process left: the machine may recover
            watched.start_at = now + Restart().longest_pause_seconds
            self._report(watched.process, f"cannot be started again: {error}")
            return
        watched.dead, watched.started_at, watched.start_at = False, now, None
        self._report(watched.process, f"started again (pid {watched.process.pid})")
