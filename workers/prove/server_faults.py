"""What is done to PostgreSQL, Redis and the schema."""

import contextlib
import signal
import threading
import time
from random import Random

import redis

from workers.local.children import wait_until
from workers.prove.effects import NoEffectError, require
from workers.prove.guest import REVISION
from workers.prove.process_faults import RESTART_SECONDS
from workers.prove.stage import Stage

_REFUSED_SECONDS = 20.0


def crash_postgresql(stage: Stage, random: Random, stopping: threading.Event) -> str:
    """The primary ends at once, by SIGKILL or ``pg_ctl -m immediate``; the next start recovers from the WAL."""
    number = random.choice((signal.SIGKILL, signal.SIGQUIT))
    pid = stage.postgresql.pid
    stage.databases.crash(stage.postgresql, number)
    stopping.wait(random.uniform(0.0, 1.0))
    # After its recovery it shows what the standby may not have yet: until it has, nobody is to fail over.
    stage.databases.start()
    require(stage.postgresql.pid != pid, "it still runs")
    return "immediate" if number is signal.SIGQUIT else "killed"


def crash_standby(stage: Stage, random: Random, stopping: threading.Event) -> str:
    """The standby is gone for a while: no COMMIT is answered meanwhile."""
    standby = stage.databases.standby
    assert standby is not None
    standby.kill()
    seconds = random.uniform(0.0, 2.0)
    stopping.wait(seconds)
    stage.databases.start()
    return f"for {seconds:.1f} s"


def fail_over(stage: Stage, random: Random, stopping: threading.Event) -> str:
    """The primary is gone for good, its synchronous standby takes over and gets a standby of its own."""
    old = stage.postgresql
    stage.databases.fail_over()
    require(stage.postgresql is not old and stage.databases.is_primary(stage.postgresql), "nobody took over")
    return f"to {stage.postgresql.folder.name}"


def restart_redis(stage: Stage, random: Random, stopping: threading.Event) -> str:
    """SIGKILL to Redis, then a start, with or without what it held."""
    flushed = random.random() < 0.5 and _flush(stage)
    stage.redis.kill()
    stage.redis.start()
    return "flushed" if flushed else ""


def flush_redis(stage: Stage, random: Random, stopping: threading.Event) -> str:
    """Every message and everything else that Redis holds is gone, while all are connected."""
    require(_flush(stage), "Redis did not answer")
    return ""


def _flush(stage: Stage) -> bool:
    with contextlib.suppress(redis.RedisError), redis.Redis.from_url(stage.redis.client_url) as client:
        return bool(client.flushall())
    return False


def downgrade(stage: Stage, random: Random, stopping: threading.Event) -> str:
    """All nodes stop, the schema goes back to an older revision, and the first node that starts upgrades it online."""
    revision = random.choice((6, 5, 4, 3, 2, 1))
    with stage.nodes_stopped():
        _downgrade_to(stage, revision)
    _wait_for_nodes(stage, stopping)
    return f"to {revision}"


def orthanc_beside(stage: Stage, random: Random, stopping: threading.Event) -> str:
    """A real Orthanc starts on an older revision and goes on writing while the nodes upgrade and when they serve."""
    assert stage.guest is not None
    seconds, before = random.uniform(4.0, 10.0), stage.guest.acknowledged
    try:
        with stage.nodes_stopped():
            _downgrade_to(stage, REVISION)
            _start_guest(stage)
        _wait_for_nodes(stage, stopping)
        alone = stage.guest.acknowledged
        stopping.wait(seconds)
        beside = stage.guest.acknowledged
    finally:
        stage.guest.stop()
    # Beside busy nodes it gets little done: its transactions are serializable and give way.
    require(beside > before, "it was told of no success")
    return f"it wrote {alone - before} while they upgraded and {beside - alone} beside them"


def _start_guest(stage: Stage) -> None:
    assert stage.guest is not None
    try:
        stage.guest.start(stage.postgresql.uri())
    except (ChildProcessError, TimeoutError) as error:
        raise NoEffectError(str(error)) from error


def _downgrade_to(stage: Stage, revision: int) -> None:
    """Again for a while: of a node that could not take its leave it is not known at once that it is gone."""
    deadline = time.monotonic() + _REFUSED_SECONDS
    while (done := stage.command("schema", "downgrade", "--to", str(revision))).returncode != 0:
        if time.monotonic() > deadline:
            raise NoEffectError(f"to {revision} was refused: {done.stderr.strip()[-200:]}")


def _wait_for_nodes(stage: Stage, stopping: threading.Event) -> None:
    wait_until(lambda: stopping.is_set() or all(node.ready for node in stage.nodes), RESTART_SECONDS)
