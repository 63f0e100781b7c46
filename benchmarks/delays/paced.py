"""Senders that keep a rate and note how long each C-STORE took: for latencies under a load that is not the maximum.

Each sender is a process with one association. Its instances are due at random moments that keep the rate on average
(the pauses between them are 0.5 to 1.5 times the mean), whether the answers before were quick or not; one that is
overdue because of a slow answer is sent at once.
"""

import gc
import multiprocessing
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import NamedTuple

from workers.load.plan import Portion, instances_of
from workers.load.sender import presentation_contexts
from workers.storescu import Association

_SIZE = "small"
_HEAD_START_SECONDS = 0.2


class _Plan(NamedTuple):
    """What a sender has to know; pauses in seconds."""

    sender: int
    seed: int
    target: str
    mean_pause: float
    seconds: float


class _Answer(NamedTuple):
    """Seconds from the request to its answer, and by how much the request was late."""

    latency: float
    delay: float
    is_stored: bool


@dataclass(frozen=True, slots=True)
class Paced:
    """What the senders saw; times in seconds."""

    instances: int
    failures: int
    rate: float
    latencies: list[float] = field(repr=False)
    """From request to answer."""
    since_due: list[float] = field(repr=False)
    """From when it was due to the answer."""


def paced(targets: Sequence[str], *, senders: int, rate: float, seconds: float, seed: int) -> Paced:
    """Send instances of 30 KB at `rate` a second, all senders together, and wait for the answers.

    Args:
        targets: ``host:port``; senders take turns.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["benchmarks.delays.paced"])
    pipes, processes = [], []
    try:
        for sender in range(senders):
            plan = _Plan(sender, seed, targets[sender % len(targets)], senders / rate, seconds)
            here, there = context.Pipe()
            process = context.Process(target=_main, args=(plan, there), name="paced", daemon=True)
            process.start()
            there.close()
            pipes.append(here)
            processes.append(process)
        for pipe in pipes:
            pipe.recv()
        begin = time.monotonic() + _HEAD_START_SECONDS
        for pipe in pipes:
            pipe.send(begin)
        answers: list[_Answer] = [answer for pipe in pipes for answer in pipe.recv()]
        took = time.monotonic() - begin
    finally:
        for process in processes:
            process.kill()
            process.join()
    return Paced(
        instances=len(answers),
        failures=sum(not answer.is_stored for answer in answers),
        rate=len(answers) / took,
        latencies=[answer.latency for answer in answers],
        since_due=[answer.latency + answer.delay for answer in answers],
    )


def _main(plan: _Plan, parent: Connection) -> None:
    host, _, port = plan.target.rpartition(":")
    chance = random.Random(f"{plan.seed}/{plan.sender}")
    count = int(plan.seconds / plan.mean_pause)
    instances = list(instances_of(Portion(f"paced-{plan.sender}", range(count)), size=_SIZE, seed=plan.seed))
    contexts = presentation_contexts(_SIZE)
    with Association.request(
        host, int(port), called_aet="ORTHANC", calling_aet="PACED", contexts=contexts
    ) as association:
        gc.disable()
        parent.send(None)
        due = parent.recv() + chance.uniform(0, plan.mean_pause)
        answers = []
        for instance in instances:
            time.sleep(max(0.0, due - time.monotonic()))
            begun = time.monotonic()
            status = association.store(
                instance.sop_class_uid, instance.sop_instance_uid, instance.transfer_syntax_uid, instance.data_set
            )
            answers.append(_Answer(time.monotonic() - begun, max(0.0, begun - due), status == 0))
            due += chance.uniform(0.5, 1.5) * plan.mean_pause
    parent.send(answers)
