"""Scenarios in which something breaks: a pod hangs, the database or Redis is away, pods are killed at random."""

import io
import random
import threading
import time
from pathlib import Path

import psycopg
from rich.console import Console

from cluster.bulk.ledger import Pace
from cluster.index.enumerations import ChangeType
from tests.acceptance.rollout.stage import Seen, Stage
from tests.support.dicom import make_file
from tests.support.settings import settings_for
from workers.import_command import import_files
from workers.local.children import wait_until
from workers.local.redis_server import LocalRedis

_WARM_UP = 100
_TIME_BUDGET_SECONDS = 30
"""The default of `Cluster.TransactionTimeBudgetSeconds`."""
_IMPORT_SECONDS = 180
"""Of real time, as that of leases and of the workers' sweeps is."""


def frozen(stage: Stage) -> Seen:
    """A pod gets SIGSTOP: it leaves the balancer, fails liveness and is started again; the other one goes on."""
    seen = Seen()
    with stage.rehearsal() as rehearsal:
        # A pod that hangs uses up its whole grace, so that is as short as the chart allows.
        rehearsal.install(cluster={"drainSeconds": 5}, shutdown={"marginSeconds": 15})
        rehearsal.ingest.wait_until_complete()
        with rehearsal.senders(stage.size.senders) as senders:
            senders.wait_for(_WARM_UP)
            hung, other = rehearsal.ingest.live
            since = time.monotonic()
            hung.freeze()
            template = hung.template
            limit = template.probes["livenessProbe"].budget + template.grace + 60
            healed = wait_until(lambda: bool(hung.restarts) and hung.ready, limit)
            until = time.monotonic()
            senders.wait_for(_WARM_UP)
            traffic = senders.finish()
        seen.intact(traffic)
        seen.claim("ready again", "yes", f"after {until - since:.1f} s", healed)
        seen.claim(
            "restarts of the pod that hung",
            "one, for liveness",
            hung.restarts,
            len(hung.restarts) == 1 and hung.restarts[0].startswith("livenessProbe"),
        )
        seen.none("restarts of the other", other.restarts)
        meanwhile = traffic.during(since, until)
        seen.claim("instances meanwhile", "> 0", meanwhile, meanwhile > 0)
        seen.details["longest time without an instance"] = round(traffic.longest_silence(since, until), 2)
    seen.history = rehearsal.machine.history()
    return seen


def database_outage(stage: Stage) -> Seen:
    """The server is away for longer than liveness may fail; afterwards everything goes on, and nobody was restarted."""
    seen = Seen()
    outage = stage.seconds(stage.size.outage_seconds)
    # After a third of it a node says that it is not ready, which the outage has to be longer than.
    budget_seconds = max(3, round(stage.seconds(_TIME_BUDGET_SECONDS)))
    with stage.rehearsal() as rehearsal:
        rehearsal.install(orthanc={"Cluster": {"TransactionTimeBudgetSeconds": budget_seconds}})
        rehearsal.ingest.wait_until_complete()
        with rehearsal.senders(stage.size.senders) as senders:
            senders.wait_for(_WARM_UP)
            pids = [pod.pid for pod in rehearsal.ingest.live]
            since = time.monotonic()
            stage.server.stop()
            unready = wait_until(lambda: not any(pod.ready for pod in rehearsal.ingest.live), outage)
            time.sleep(max(0.0, since + outage - time.monotonic()))
            stage.server.start()
            until = time.monotonic()
            senders.wait_for(_WARM_UP)
            rehearsal.ingest.wait_until_complete()
            traffic = senders.finish()
        seen.intact(traffic)
        seen.none("containers restarted", rehearsal.ingest.restarts)
        same = [pod.pid for pod in rehearsal.ingest.live] == pids
        seen.claim("the same processes as before", "yes", "yes" if same else "no", same)
        seen.claim("no pod was ready meanwhile", "yes", "yes" if unready else "no", unready)
        budget = rehearsal.ingest.wish.template.probes["livenessProbe"].budget
        seen.claim(
            "away for longer than liveness may fail",
            f"> {budget:g} s",
            f"{until - since:.1f} s",
            until - since > budget,
        )
        resumed = min((at for at in traffic.acknowledged_at if at > until), default=float("inf")) - until
        seen.details["seconds from the server's return to the first instance"] = round(resumed, 2)
    seen.history = rehearsal.machine.history()
    return seen


def redis_outage(stage: Stage) -> Seen:
    """The broker is away in the middle of an import; workers stay, and the import ends with each file in once."""
    seen = Seen()
    files = _files(stage)
    with (
        LocalRedis(stage.folder / "redis") as redis,
        stage.rehearsal(redis_url=redis.url) as rehearsal,
        psycopg.connect(stage.uri, autocommit=True) as connection,
    ):
        rehearsal.install(with_workers=True)
        rehearsal.ingest.wait_until_complete()
        rehearsal.workers.wait_until_complete()
        settings = settings_for(stage.uri, rehearsal.machine.storage, cluster={"RedisUrl": redis.url})
        # Who watches the import sends lost messages again.
        pace = Pace(resend_seconds=stage.seconds(Pace().resend_seconds))
        options = {"console": _silent(), "pace": pace}
        command = threading.Thread(target=import_files, args=(settings, [files]), kwargs=options)
        command.start()

        def left() -> tuple[int, int]:
            return connection.execute(
                "SELECT count(*), count(*) - count(done_at) FROM cluster.import_chunks"
            ).fetchone()

        assert wait_until(lambda: left()[0] > left()[1], 60), "no worker took anything"
        redis.stop()
        seen.details["chunks left when Redis went"] = "{1} of {0}".format(*left())
        time.sleep(stage.seconds(stage.size.outage_seconds))
        redis.start()
        since = time.monotonic()
        done = wait_until(lambda: left()[1] == 0 and left()[0] > 0, _IMPORT_SECONDS)
        command.join(_IMPORT_SECONDS)
        ended = done and not command.is_alive()
        seen.claim("the import ends by itself", "yes", f"after {time.monotonic() - since:.1f} s", ended)
        _once(seen, connection, rehearsal.machine.storage, stage.size.files)
        seen.none("containers restarted", rehearsal.ingest.restarts + rehearsal.workers.restarts)
    seen.history = rehearsal.machine.history()
    return seen


def killed_at_random(stage: Stage, seed: int = 1) -> Seen:
    """Every few seconds a pod of three is killed and replaced."""
    seen = Seen()
    chance = random.Random(seed)
    with stage.rehearsal() as rehearsal:
        rehearsal.install(ingest={"replicas": 3})
        rehearsal.ingest.wait_until_complete()
        with rehearsal.senders(stage.size.senders) as senders:
            senders.wait_for(_WARM_UP)
            since = time.monotonic()
            kills = int(stage.size.killing_seconds / stage.size.kill_every_seconds)
            for _ in range(kills):
                time.sleep(stage.seconds(stage.size.kill_every_seconds))
                chance.choice([pod for pod in rehearsal.ingest.live if pod.pid is not None]).kill()
            rehearsal.ingest.wait_until_complete()
            until = time.monotonic()
            senders.wait_for(_WARM_UP)
            traffic = senders.finish()
        seen.intact(traffic)
        killed = sum(pod.exit_status == -9 for pod in rehearsal.ingest.pods if pod.gone)
        seen.claim("pods killed", str(kills), killed, killed == kills)
        seen.none("containers restarted", rehearsal.ingest.restarts)
        seen.details["instances/s meanwhile"] = round(traffic.during(since, until) / (until - since), 1)
        seen.details["longest time without an instance"] = round(traffic.longest_silence(since, until), 2)
    seen.history = rehearsal.machine.history()
    return seen


def _files(stage: Stage) -> Path:
    folder = stage.folder / "import"
    folder.mkdir()
    for number in range(stage.size.files):
        (folder / f"{number}.dcm").write_bytes(make_file(SOPInstanceUID=f"2.25.{number + 1}"))
    return folder


def _silent() -> Console:
    return Console(file=io.StringIO(), width=200)


def _once(seen: Seen, connection: psycopg.Connection, storage: Path, files: int) -> None:
    """Each file was taken in once, and nothing of a second attempt is left."""
    queries = {
        "files counted": "SELECT sum(stored + already_stored) FROM cluster.import_chunks",
        "instances": "SELECT count(*) FROM Resources WHERE resourceType = 3",
        "attachments": "SELECT count(*) FROM AttachedFiles",
        "changes that announce an instance": (
            f"SELECT count(*) FROM Changes WHERE changeType = {ChangeType.NEW_INSTANCE.value}"
        ),
    }
    for name, query in queries.items():
        [number] = connection.execute(query).fetchone()
        seen.claim(name, str(files), number, number == files)
    rows = {uuid for (uuid,) in connection.execute("SELECT uuid FROM AttachedFiles")}
    stored = {path.name for path in storage.rglob("*") if path.is_file()}
    seen.claim("files in the storage area", "those of the rows", len(stored), stored == rows)
