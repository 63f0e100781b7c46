import os
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.local.processes import gone
from workers.local.children import wait_until
from workers.local.processes import ManagedProcess, Restart, Supervisor

SLEEP = ["sleep", "60"]


class Reports:
    """What a supervisor said, and a way to wait for it."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def __call__(self, process: ManagedProcess, what: str) -> None:
        self.lines.append(f"{process.name}: {what}")

    def wait_for(self, count: int) -> list[str]:
        assert wait_until(lambda: len(self.lines) >= count, 10), self.lines
        return self.lines


@pytest.fixture
def reports() -> Reports:
    return Reports()


@pytest.fixture
def supervisor(reports: Reports) -> Iterator[Supervisor]:
    supervisor = Supervisor(reports)
    yield supervisor
    supervisor.stop(grace_seconds=1)


def shell(tmp_path: Path, script: str, name: str = "shell") -> ManagedProcess:
    return ManagedProcess(name, ["sh", "-c", script], log_path=tmp_path / f"{name}.log")


def test_killed_child_is_replaced(tmp_path: Path, supervisor: Supervisor, reports: Reports) -> None:
    # Given a supervised node
    node = ManagedProcess("node-1", SLEEP, log_path=tmp_path / "log")
    supervisor.start(node, restart=Restart())
    first = node.pid
    assert first is not None

    # When it is killed
    os.kill(first, signal.SIGKILL)

    # Then another one runs in its place, and both were told
    assert reports.wait_for(2) == ["node-1: killed by SIGKILL", f"node-1: started again (pid {node.pid})"]
    assert node.running
    assert node.pid != first


def test_dead_child_without_restart_is_reported_once(tmp_path: Path, supervisor: Supervisor, reports: Reports) -> None:
    supervisor.start(shell(tmp_path, "exit 3", "job"))
    # A second process that dies later shows that the watching goes on.
    reports.wait_for(1)
    supervisor.start(shell(tmp_path, "exit 4", "later"))
    assert reports.wait_for(2) == ["job: exit status 3", "later: exit status 4"]


def test_program_that_dies_at_once_is_tried_ever_more_slowly(
    tmp_path: Path, supervisor: Supervisor, reports: Reports
) -> None:
    restart = Restart(first_pause_seconds=0.01, longest_pause_seconds=0.05)
    supervisor.start(shell(tmp_path, "echo tried"), restart=restart)
    reports.wait_for(6)
    assert [restart.pause(deaths) for deaths in (1, 2, 3, 4, 5, 2000)] == [0.0, 0.01, 0.02, 0.04, 0.05, 0.05]
    assert (tmp_path / "shell.log").read_text().count("tried") >= 3


def test_stop_ends_all_in_reverse_order(tmp_path: Path, supervisor: Supervisor, reports: Reports) -> None:
    ended = tmp_path / "ended"
    for name in ("first", "second", "third"):
        process = shell(tmp_path, f"trap 'echo {name} >> {ended}; exit 0' TERM; sleep 60 & wait", name)
        supervisor.start(process, restart=Restart())
        # The trap must be set before the signal comes.
        process.wait_ready(lambda process=process: _traps_term(process), 10)  # type: ignore[misc]

    supervisor.stop(grace_seconds=10)

    assert ended.read_text().split() == ["third", "second", "first"]
    assert reports.lines == []
    with pytest.raises(RuntimeError, match="stopping"):
        supervisor.start(shell(tmp_path, "true"))


def test_group_goes_with_its_first_process(tmp_path: Path) -> None:
    # Given a program with a child of its own
    parent = shell(tmp_path, "sleep 60 & echo $!; wait")
    parent.start()
    parent.wait_ready(lambda: (tmp_path / "shell.log").read_text().endswith("\n"), 10)
    child = int((tmp_path / "shell.log").read_text())

    # When only the first process is killed
    assert parent.pid is not None
    os.kill(parent.pid, signal.SIGKILL)

    # Then, once that is noticed, the child is gone too
    assert wait_until(lambda: not parent.running, 10)
    assert parent.returncode == -signal.SIGKILL
    assert wait_until(lambda: gone(child), 10)


def test_program_that_ignores_sigterm_is_killed_after_the_grace(tmp_path: Path) -> None:
    stubborn = shell(tmp_path, "trap '' TERM; echo ready; while :; do sleep 1; done")
    stubborn.start()
    stubborn.wait_ready(lambda: "ready" in stubborn.log_path.read_text(), 10)
    stubborn.terminate(grace_seconds=0.1)
    assert stubborn.describe_end() == "killed by SIGKILL"


def test_sigterm_is_enough_for_others(tmp_path: Path) -> None:
    process = ManagedProcess("sleep", SLEEP, log_path=tmp_path / "log")
    process.start()
    assert process.describe_end() == "running"
    process.terminate()
    assert process.describe_end() == "killed by SIGTERM"
    # Neither has an effect on a process that has ended.
    process.terminate()
    process.kill()


def test_ctrl_c_does_not_reach_children(tmp_path: Path) -> None:
    process = ManagedProcess("sleep", SLEEP, log_path=tmp_path / "log")
    process.start()
    assert process.pid is not None
    assert os.getsid(process.pid) == process.pid != os.getsid(0)
    process.kill()


def test_environment_is_the_given_one(tmp_path: Path) -> None:
    process = ManagedProcess("env", ["/usr/bin/env"], log_path=tmp_path / "log", env={"ONLY": "this"})
    process.start()
    assert wait_until(lambda: not process.running, 10)
    assert "ONLY=this" in (tmp_path / "log").read_text()
    assert "HOME=" not in (tmp_path / "log").read_text()


def test_waiting_for_a_program_that_dies_shows_its_log(tmp_path: Path) -> None:
    process = shell(tmp_path, "echo no such thing; exit 7")
    process.start()
    with pytest.raises(ChildProcessError, match=r"exit status 7(?s:.*)no such thing"):
        process.wait_ready(lambda: False, 10)


def test_waiting_too_long_is_an_error(tmp_path: Path) -> None:
    process = ManagedProcess("sleep", SLEEP, log_path=tmp_path / "log")
    process.start()
    with pytest.raises(TimeoutError, match=r"sleep was not ready after 0\.1 seconds"):
        process.wait_ready(lambda: False, 0.1)
    assert process.running
    process.kill()


def test_missing_program_is_told_in_the_log(tmp_path: Path) -> None:
    process = ManagedProcess("none", ["/nonexistent/program"], log_path=tmp_path / "log")
    process.start()
    with pytest.raises(ChildProcessError, match="cannot run /nonexistent/program"):
        process.wait_ready(lambda: False, 10)


def test_child_outlives_the_thread_that_started_it(tmp_path: Path) -> None:
    # Linux sends the death signal when the *thread* that forked ends.
    process = ManagedProcess("sleep", SLEEP, log_path=tmp_path / "log")
    thread = threading.Thread(target=process.start)
    thread.start()
    thread.join()
    echo = ManagedProcess("echo", [sys.executable, "-c", "print('later')"], log_path=tmp_path / "echo")
    echo.start()
    assert wait_until(lambda: not echo.running, 10)
    assert process.running
    process.kill()


def _traps_term(process: ManagedProcess) -> bool:
    """SIGTERM is in the mask of caught signals."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    caught = next(line for line in status.splitlines() if line.startswith("SigCgt"))
    program = Path(f"/proc/{process.pid}/cmdline").read_bytes()
    return b"trampoline" not in program and bool(int(caught.split()[1], 16) & 1 << (signal.SIGTERM - 1))
