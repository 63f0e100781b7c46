"""What is done to processes: nodes, workers, and whatever runs below them or below a server."""

import contextlib
import os
import signal
import threading
from email.utils import parsedate_to_datetime
from http.client import HTTPConnection
from random import Random
from time import time

from cluster.failpoints import DELETION, INGEST
from workers.local.children import wait_until
from workers.prove.effects import NoEffectError, require
from workers.prove.members import Member, processes_of
from workers.prove.stage import Stage

RESTART_SECONDS = 60.0
_FULL_AT_BYTES = 100
_HOUR = 3600
_TOLERANCE_SECONDS = 10


def kill(stage: Stage, random: Random, stopping: threading.Event) -> str:
    """SIGKILL to a node or worker with all its processes, which is started again."""
    member = random.choice(stage.members)
    pid = member.process.pid
    member.process.kill()
    require(_is_another(member, pid, stopping), f"{member.name} was not started again")
    return member.name


def kill_at_failpoint(stage: Stage, random: Random, stopping: threading.Event) -> str:
    """A node that dies at a named place of the code, at one of its first passages."""
    node = random.choice(stage.nodes)
    # Where a batch is one statement that commits by itself there is nothing between its rows and COMMIT.
    name = random.choice(sorted((INGEST | DELETION) - {"rows_written"}))
    passage = random.randint(1, 12 if name in INGEST else 3)
    node.failpoints = {name: f"kill@{passage}"}
    pid = node.process.pid
    node.process.kill()
    _is_another(node, pid, stopping)
    pid = node.process.pid
    wait_until(lambda: stopping.is_set() or node.process.pid != pid or node.ready, RESTART_SECONDS)
    died = wait_until(lambda: stopping.is_set() or node.process.pid != pid, 8.0) and node.process.pid != pid
    # Killed it was in any case.
    return f"{node.name} {name}@{passage}{'' if died else ', which it did not come to'}"


def terminate(stage: Stage, random: Random, stopping: threading.Event) -> str:
    """SIGTERM to a node or worker, which drains and is started again."""
    member = random.choice(stage.members)
    pid = member.process.pid
    if pid is None or not member.process.running:
        raise NoEffectError(f"{member.name} did not run")
    # To the first process, as Kubernetes does: it knows how to end its own.
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
    require(_is_another(member, pid, stopping), f"{member.name} did not end")
    return member.name


def stop(stage: Stage, random: Random, stopping: threading.Event) -> str:
    """SIGSTOP to a node or worker, then SIGCONT: it wakes up with old work in hand."""
    member, seconds = random.choice(stage.members), random.uniform(0.5, 6.0)
    require(member.process.running, f"{member.name} did not run")
    member.signal(signal.SIGSTOP)
    stopping.wait(seconds)
    member.signal(signal.SIGCONT)
    return f"{member.name} for {seconds:.1f} s"


def kill_any(stage: Stage, random: Random, stopping: threading.Event) -> str:
    """SIGKILL to one process of any kind: of a node or worker, a backend or another process of PostgreSQL, Redis."""
    pid, what = _any_process(stage, random)
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    gone = wait_until(lambda: all(found != pid for found, _, _ in _everything(stage)), 5.0)
    _start_servers(stage)
    require(gone, f"{what} is still there")
    return what


def stop_any(stage: Stage, random: Random, stopping: threading.Event) -> str:
    """SIGSTOP to one process of any kind, with whatever locks it holds, then SIGCONT."""
    pid, what = _any_process(stage, random)
    seconds = random.uniform(0.5, 4.0)
    try:
        os.kill(pid, signal.SIGSTOP)
        stopping.wait(seconds)
        os.kill(pid, signal.SIGCONT)
    except ProcessLookupError:
        raise NoEffectError(f"{what} was gone") from None
    return f"{what} for {seconds:.1f} s"


def refuse_writes(stage: Stage, random: Random, stopping: threading.Event) -> str:
    """For a while a node cannot write files beyond a few bytes, as on a full disk; its attachments are larger."""
    import resource  # here, as there is none on Windows, where `--help` has to work all the same

    node, seconds = random.choice(stage.nodes), random.uniform(0.5, 4.0)
    pid, told = node.process.pid, stage.refusals()
    if pid is None or not node.process.running:
        raise NoEffectError(f"{node.name} did not run")
    with contextlib.suppress(ProcessLookupError):
        _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (_FULL_AT_BYTES, hard))
        stopping.wait(seconds)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (hard, hard))
    require(stage.refusals() > told, f"{node.name} had nothing to write")
    return f"{node.name} for {seconds:.1f} s"


def fill_disk(stage: Stage, random: Random, stopping: threading.Event) -> str:
    """The disk under a part of the storage area is full for a while: ENOSPC, for all nodes and workers."""
    assert stage.disk is not None
    seconds, told = random.uniform(0.5, 4.0), stage.refusals()
    with stage.disk.full():
        stopping.wait(seconds)
    require(stage.refusals() > told, "nobody was refused")
    return f"for {seconds:.1f} s, {stage.refusals() - told} were refused"


def jump_clock(stage: Stage, random: Random, stopping: threading.Event) -> str:
    """The time of day of one node or of the workers jumps, forward or back, and later to where it was."""
    member = random.choice([member for member in stage.members if member.clock is not None])
    assert member.clock is not None
    jump = random.choice((-24, -1, 1, 24)) * _HOUR + random.randint(-600, 600)
    seconds = random.uniform(2.0, 6.0)
    member.clock.set(jump)
    try:
        stopping.wait(seconds)
        wrong = _wrong_by(member)
    finally:
        member.clock.set(0)
    require(wrong is not None and abs(wrong - jump) < _TOLERANCE_SECONDS, f"{member.name} is wrong by {wrong} s")
    return f"{member.name} by {jump:+d} s for {seconds:.1f} s"


def _wrong_by(node: Member) -> float | None:
    """By how many seconds a node's answers are dated wrong."""
    connection = HTTPConnection("127.0.0.1", node.http_port, timeout=2)
    try:
        connection.request("GET", "/livez")
        date = connection.getresponse().headers["Date"]
    except OSError:
        return None
    finally:
        connection.close()
    return parsedate_to_datetime(date).timestamp() - time() if date else None


def _is_another(member: Member, pid: int | None, stopping: threading.Event) -> bool:
    """Wait until it runs as another process; true at the end of the run, too."""
    wait_until(lambda: stopping.is_set() or member.process.pid != pid, RESTART_SECONDS)
    return stopping.is_set() or member.process.pid != pid


def _any_process(stage: Stage, random: Random) -> tuple[int, str]:
    """By whose it is first, then by what it is: of some there are many, and the rare ones count as much."""
    found = _everything(stage)
    whose = random.choice(sorted({owner for _, owner, _ in found}))
    what = random.choice(sorted({kind for _, owner, kind in found if owner == whose}))
    pid = random.choice([pid for pid, owner, kind in found if (owner, kind) == (whose, what)])
    return pid, f"{whose}: {what}"


def _everything(stage: Stage) -> list[tuple[int, str, str]]:
    """Every process of the cluster and its servers: number, whose it is, what it is."""
    roots = [(member.process.pid, member.name) for member in stage.members if member.process.running]
    roots += [(server.pid, f"PostgreSQL in {server.folder.name}") for server in stage.databases.servers]
    roots += [(stage.redis.pid, "Redis")]
    return [
        (pid, name, _kind(command, is_first=pid == root))
        for root, name in roots
        for pid, command in (processes_of(root) if root else ())
    ]


def _kind(command: str, *, is_first: bool) -> str:
    if is_first:
        return "first process"
    # postgres: CLUSTER: checkpointer, or, for a backend: postgres: CLUSTER: USER DATABASE HOST(PORT) STATE
    title = command.split(": ")
    return title[2].split(" ")[0] if title[0] == "postgres" and len(title) > 2 else "child"


def _start_servers(stage: Stage) -> None:
    """A server whose first process was hit is started again by nobody else."""
    if not stage.redis.running:
        stage.redis.start()
    stage.databases.start()
