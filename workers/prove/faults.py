"""What is done to the cluster while clients work, drawn from a seed, so that a run can be repeated.

Two injectors work side by side, one on processes and one on wires: the worst comes in pairs. Each fault is undone by
the one who did it, and noted in the history when it is over.
"""

import contextlib
import signal
import threading
from collections.abc import Callable, Mapping, Sequence
from random import Random

import redis

from cluster.failpoints import DELETION, INGEST
from workers.local.children import wait_until
from workers.prove.client import Client
from workers.prove.stage import Node, Stage
from workers.prove.wire import Wire

Fault = Callable[[Stage, Random, threading.Event], str]
"""Does it and undoes it; returns what was hit, in words. The event cuts waits short at the end of a run."""

_RESTART_SECONDS = 60.0
_FULL_AT_BYTES = 100


def kill_node(stage: Stage, random: Random, stopping: threading.Event) -> str:
    """SIGKILL to a node, which is started again."""
    node = random.choice(stage.nodes)
    node.process.kill()
    return node.name


def kill_node_at_failpoint(stage: Stage, random: Random, stopping: threading.Event) -> str:
    """A node that dies at a named place of the code, at one of its first passages."""
    node = random.choice(stage.nodes)
    name, passage = random.choice(sorted(INGEST | DELETION)), random.randint(1, 40)
    node.failpoints = {name: f"kill@{passage}"}
    node.process.kill()
    pid = node.process.pid
    wait_until(lambda: stopping.is_set() or node.process.pid != pid, _RESTART_SECONDS)
    pid = node.process.pid
    wait_until(lambda: stopping.is_set() or node.process.pid != pid, 6.0)
    return f"{node.name} {name}@{passage}"


def terminate_node(stage: Stage, random: Random, stopping: threading.Event) -> str:
    """SIGTERM to a node, which drains and is started again."""
    node = random.choice(stage.nodes)
    pid = node.process.pid
    node.signal(signal.SIGTERM)
    wait_until(lambda: stopping.is_set() or node.process.pid != pid, _RESTART_SECONDS)
    return node.name


def stop_node(stage: Stage, random: Random, stopping: threading.Event) -> str:
    """SIGSTOP to a node, then SIGCONT: it wakes up with old work in hand."""
    node, seconds = random.choice(stage.nodes), random.uniform(0.5, 6.0)
    node.signal(signal.SIGSTOP)
    stopping.wait(seconds)
    node.signal(signal.SIGCONT)
    return f"{node.name} for {seconds:.1f} s"


def refuse_writes(stage: Stage, random: Random, stopping: threading.Event) -> str:
    """For a while a node cannot write files beyond a few bytes, as on a full disk; its attachments are larger."""
    import resource  # here, as there is none on Windows, where `--help` has to work all the same

    node, seconds = random.choice(stage.nodes), random.uniform(0.5, 4.0)
    pid = node.process.pid
    if pid is None or not node.process.running:
        return f"{node.name} was not there"
    with contextlib.suppress(ProcessLookupError):
        _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (_FULL_AT_BYTES, hard))
        stopping.wait(seconds)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (hard, hard))
    return f"{node.name} for {seconds:.1f} s"


def crash_postgresql(stage: Stage, random: Random, stopping: threading.Event) -> str:
    """SIGKILL to the postmaster; the next start recovers from the WAL."""
    stage.postgresql.kill()
    stopping.wait(random.uniform(0.0, 1.0))
    stage.postgresql.start()
    return ""


def restart_redis(stage: Stage, random: Random, stopping: threading.Event) -> str:
    """SIGKILL to Redis, then a start, with or without what it held."""
    flushed = random.random() < 0.5
    if flushed:
        with contextlib.suppress(redis.RedisError), redis.Redis.from_url(stage.redis.client_url) as client:
            client.flushall()
    stage.redis.kill()
    stage.redis.start()
    return "flushed" if flushed else ""


def downgrade(stage: Stage, random: Random, stopping: threading.Event) -> str:
    """All nodes stop, the schema goes back to an older revision, and the first node that starts upgrades it online."""
    revision = random.choice((6, 5, 4, 3, 2, 1))
    with stage.nodes_stopped():
        done = stage.command("schema", "downgrade", "--to", str(revision))
    wait_until(lambda: stopping.is_set() or all(node.ready for node in stage.nodes), _RESTART_SECONDS)
    return f"to {revision}" if done.returncode == 0 else f"to {revision} was refused: {done.stderr.strip()[-200:]}"


def cut(stage: Stage, random: Random, stopping: threading.Event) -> str:
    """Every connection of a wire is reset."""
    name, wire = _wire(stage, random)
    wire.cut()
    return name


def half_close(stage: Stage, random: Random, stopping: threading.Event) -> str:
    """The servers of a wire are told that nothing follows; what they answer goes through."""
    name, wire = _wire(stage, random)
    wire.half_close()
    return name


def silence(stage: Stage, random: Random, stopping: threading.Event) -> str:
    """A wire carries nothing for a while, then all of it; or is cut, so that what was on the way is lost."""
    name, wire = _wire(stage, random)
    seconds, lost = random.uniform(0.2, 4.0), random.random() < 0.5
    wire.silence(True)
    stopping.wait(seconds)
    if lost:
        wire.cut()
    wire.heal()
    return f"{name} for {seconds:.1f} s{', then cut' if lost else ''}"


def delay(stage: Stage, random: Random, stopping: threading.Event) -> str:
    """A wire takes its time for a while."""
    name, wire = _wire(stage, random)
    milliseconds, seconds = random.choice((5, 20, 100)), random.uniform(0.5, 4.0)
    wire.delay(milliseconds / 1000)
    stopping.wait(seconds)
    wire.heal()
    return f"{name} by {milliseconds} ms for {seconds:.1f} s"


def throttle(stage: Stage, random: Random, stopping: threading.Event) -> str:
    """A wire becomes thin for a while."""
    name, wire = _wire(stage, random)
    kilobytes, seconds = random.choice((20, 200, 1000)), random.uniform(0.5, 4.0)
    wire.throttle(kilobytes * 1000)
    stopping.wait(seconds)
    wire.heal()
    return f"{name} to {kilobytes} kB/s for {seconds:.1f} s"


FAULTS: Mapping[str, Mapping[str, tuple[int, Fault]]] = {
    "processes": {
        "node killed": (4, kill_node),
        "node killed at failpoint": (6, kill_node_at_failpoint),
        "node terminated": (2, terminate_node),
        "node stopped": (4, stop_node),
        "node cannot write": (2, refuse_writes),
        "PostgreSQL crashed": (2, crash_postgresql),
        "Redis restarted": (1, restart_redis),
        "schema downgraded": (1, downgrade),
    },
    "wires": {
        "wire cut": (6, cut),
        "wire half closed": (2, half_close),
        "wire silent": (3, silence),
        "wire delayed": (2, delay),
        "wire throttled": (2, throttle),
    },
}
"""By injector and name: how often compared with the others of the injector, and what happens."""


class Injector(Client):
    """Draws one fault after the other, with pauses of `pause_seconds` on average."""

    def __init__(self, *client: object, stage: Stage, kinds: Sequence[str], pause_seconds: float) -> None:
        super().__init__(*client)  # type: ignore[arg-type]
        self._stage = stage
        faults = {name: fault for group in FAULTS.values() for name, fault in group.items()}
        self._faults = [(name, *faults[name]) for name in kinds]
        self._pause_seconds = pause_seconds

    def work(self) -> None:
        weights = [weight for _, weight, _ in self._faults]
        while not self._stopping.wait(self.random.uniform(0, 2 * self._pause_seconds)):
            ((name, _, fault),) = self.random.choices(self._faults, weights)
            # Of its own for each, so that how long one takes does not change what comes next.
            random = Random(self.random.random())  # noqa: S311
            began = self.history.now()
            self.history.fault(began, name, fault(self._stage, random, self._stopping))


def _wire(stage: Stage, random: Random) -> tuple[str, Wire]:
    node: Node = random.choice(stage.nodes)
    links = {"DICOM": node.dicom_wire, "HTTP": node.http_wire, "database": node.database_wire}
    link = random.choice(sorted(links))
    return f"{node.name} {link}", links[link]
