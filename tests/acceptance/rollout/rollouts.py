"""Scenarios in which somebody wants other pods: a rolling update, with an upgrade of the index, to another version and
back, more and fewer."""

import time
from pathlib import Path

import psycopg

from benchmarks.upgrade.writer_check import faults
from benchmarks.upgrade.writers import Work, writing
from tests.acceptance.rollout.pod import Pod
from tests.acceptance.rollout.rehearsal import Rehearsal, reason, stored_by
from tests.acceptance.rollout.senders import Traffic, longest_pause
from tests.acceptance.rollout.stage import SILENCE_SECONDS, Seen, Stage
from workers.local.children import wait_until

_WARM_UP = 100
"""Instances before something happens, and after it."""
_MIXED = 50
"""Instances that each of two versions stores while both are ready."""
_LOOK_SECONDS = 0.3


def rolling_update(stage: Stage) -> Seen:
    """All ingest pods are replaced while senders push."""
    seen = Seen()
    with stage.rehearsal() as rehearsal:
        rehearsal.install()
        rehearsal.ingest.wait_until_complete()
        with rehearsal.senders(stage.size.senders) as senders:
            senders.wait_for(_WARM_UP)
            before = rehearsal.ingest.live
            rehearsal.ingest.watch_availability()
            since = time.monotonic()
            rehearsal.restart("now")
            rehearsal.ingest.wait_until_complete()
            until = time.monotonic()
            senders.wait_for(_WARM_UP)
            traffic = senders.finish()
        _replaced(seen, rehearsal, traffic, since, until)
        seen.claim(
            "pods replaced",
            "all",
            f"{sum(pod.gone for pod in before)} of {len(before)}",
            all(pod.gone for pod in before),
        )
    seen.history = rehearsal.machine.history()
    return seen


def upgrade(stage: Stage) -> Seen:
    """The release starts on an index at revision 1, which others write to; the upgrade is kept waiting.

    The others do what an older Orthanc does (`benchmarks/upgrade/writers.py`); senders try the balancer all the time.
    """
    seen = Seen()
    held = stage.seconds(stage.size.held_seconds)
    with (
        stage.rehearsal() as rehearsal,
        writing(stage.uri, writers=2, rate=20, seed=1) as work,
        rehearsal.senders(stage.size.senders) as senders,
    ):
        since = time.time()
        with psycopg.connect(stage.uri) as obstacle:
            # For this no index can be built, and no writer has to wait.
            obstacle.execute("LOCK TABLE Resources, DicomIdentifiers IN ROW EXCLUSIVE MODE")
            rehearsal.install()
            time.sleep(held)
            ready_early = [pod.name for pod in rehearsal.ingest.live if pod.ready]
            step = [reason(pod) for pod in rehearsal.ingest.live]
        rehearsal.ingest.wait_until_complete()
        until = time.time()
        senders.wait_for(_WARM_UP)
        traffic = senders.finish()
    seen.intact(traffic)
    probes = rehearsal.ingest.wish.template.probes
    seen.claim(
        "what the pods said at the end of that",
        "one upgrades, the others wait for it",
        step,
        sum(text.startswith("upgrade ") for text in step) == 1 and all("upgrade 1→10" in text for text in step),
    )
    seen.none("pods that were ready before the upgrade was over", ready_early)
    seen.none("containers restarted", rehearsal.ingest.restarts)
    seen.claim(
        "kept waiting for longer than liveness allows to fail",
        f"> {probes['livenessProbe'].budget:g} s",
        f"{held:g} s",
        probes["livenessProbe"].budget < held < probes["startupProbe"].budget,
    )
    _wrote_on(seen, work, since, until)
    seen.none("faults in what the others wrote", faults(stage.uri, work))
    seen.history = rehearsal.machine.history()
    return seen


def side_by_side(stage: Stage, earlier: Path) -> Seen:
    """From an earlier version to this one and back, slowly, so that both write to one index in between."""
    seen = Seen()
    with stage.rehearsal(earlier=earlier) as rehearsal, psycopg.connect(stage.uri, autocommit=True) as connection:
        rehearsal.install(image={"tag": "earlier"}, ingest={"minReadySeconds": 10})
        rehearsal.ingest.wait_until_complete()
        versions = [_cluster_version(connection)]
        old = rehearsal.ingest.live
        with rehearsal.senders(stage.size.senders) as senders:
            senders.wait_for(_WARM_UP)
            since = time.monotonic()
            for tag in ("this", "earlier"):
                before = rehearsal.ingest.live
                rehearsal.install(image={"tag": tag})
                _both_write(seen, rehearsal, before, f"to {tag}")
                rehearsal.ingest.wait_until_complete()
                versions.append(_cluster_version(connection))
            until = time.monotonic()
            traffic = senders.finish()
        _replaced(seen, rehearsal, traffic, since, until)
        seen.claim(
            "version of our own functions in the database",
            "later, and stays",
            versions,
            versions[0] < versions[1] == versions[2] and all(pod.gone for pod in old),
        )
    seen.history = rehearsal.machine.history()
    return seen


def scale(stage: Stage) -> Seen:
    """2, 6 and 2 pods while senders push."""
    seen = Seen()
    with stage.rehearsal() as rehearsal:
        rehearsal.install()
        rehearsal.ingest.wait_until_complete()
        with rehearsal.senders(stage.size.senders) as senders:
            senders.wait_for(_WARM_UP)
            since = time.monotonic()
            for replicas in (6, 2):
                rehearsal.install(ingest={"replicas": replicas})
                rehearsal.ingest.wait_until_complete()
                senders.wait_for(_WARM_UP)
            until = time.monotonic()
            traffic = senders.finish()
        seen.claim("pods at most", "6", rehearsal.ingest.most, rehearsal.ingest.most == 6)
        seen.intact(traffic)
        seen.undisturbed(traffic, since, until)
        seen.none("containers restarted", rehearsal.ingest.restarts)
        seen.ended_in_order(rehearsal.ingest.pods)
    seen.history = rehearsal.machine.history()
    return seen


def _replaced(seen: Seen, rehearsal: Rehearsal, traffic: Traffic, since: float, until: float) -> None:
    """What has to hold of every rolling update."""
    controller = rehearsal.ingest
    wish = controller.wish
    seen.intact(traffic)
    seen.undisturbed(traffic, since, until)
    seen.none("containers restarted", controller.restarts)
    seen.ended_in_order(controller.pods)
    most = wish.replicas + wish.max_surge
    seen.claim("pods at most", f"<= {most}", controller.most, controller.most <= most)
    if controller.fewest_available is not None:
        fewest = wish.replicas - wish.max_unavailable
        available = controller.fewest_available
        seen.claim("available pods at least", f">= {fewest}", available, available >= fewest)


def _both_write(seen: Seen, rehearsal: Rehearsal, before: list[Pod], what: str) -> None:
    """Until old pods and new ones have stored some side by side."""
    first: dict[Pod, int] = {}
    stored = {"old": 0, "new": 0}

    def look() -> bool:
        time.sleep(_LOOK_SECONDS)
        ready = [pod for pod in rehearsal.ingest.live if pod.ready]
        kinds = {pod: "old" if pod in before else "new" for pod in ready}
        if set(kinds.values()) != {"old", "new"}:
            return rehearsal.ingest.is_complete
        counts = {pod: stored_by(pod) for pod in ready}
        for pod, number in counts.items():
            stored[kinds[pod]] += number - first.get(pod, number)
            first[pod] = number
        return min(stored.values()) >= _MIXED

    wait_until(look, rehearsal.ingest.wish.deadline)
    seen.claim(f"instances side by side, {what}", f">= {_MIXED} each", stored, min(stored.values()) >= _MIXED)


def _wrote_on(seen: Seen, work: Work, since: float, until: float) -> None:
    """How long the writers beside an upgrade were kept waiting."""
    silence = longest_pause((stored.began + stored.seconds for stored in work.stored), since, until)
    seen.claim(
        "longest time without an instance of the others, switch included",
        f"<= {SILENCE_SECONDS:g} s",
        f"{silence:.2f} s",
        silence <= SILENCE_SECONDS,
        is_speed=True,
    )
    seen.details["instances of the others"] = len(work.stored)
    seen.details["seconds"] = round(until - since, 1)
    seen.details["attempts of the others that failed"] = dict(work.replays)


def _cluster_version(connection: psycopg.Connection) -> int:
    row = connection.execute("SELECT value FROM cluster.properties WHERE name = 'version'").fetchone()
    assert row is not None
    return int(row[0])
