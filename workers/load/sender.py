"""One sender: its instances, one association at a time, each instance sent again until it is acknowledged.

An association (or HTTP connection) per study to the sender's own target, as modalities do; when that fails, the next
target takes over until the study ends. What is no final answer is sent again, the same bytes, because nobody can know
whether it was stored before the answer was lost.
"""

import hashlib
import random
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection

from workers.client_tls import ClientTls
from workers.load.ledger import Delivery
from workers.load.pace import Pace
from workers.load.plan import Portion, instances_of
from workers.load.studies import Size, kinds_of
from workers.load.synthetic import TRANSFER_SYNTAXES, SyntheticInstance
from workers.load.targets import Target
from workers.load.transports import NO_ASSOCIATION, Attempt, Credentials, DicomTransport, HttpTransport, Transport

__all__ = ["NO_ASSOCIATION", "Assignment", "GaveUp", "Sender", "Target", "main", "presentation_contexts"]

_REPORT_SECONDS = 0.1
_ANSWER_SECONDS = 30.0
_LONGEST_PAUSE_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Assignment:
    """Everything that a sender has to know."""

    sender: int
    portion: Portion
    size: Size
    seed: int
    targets: tuple[Target, ...]
    calling_aet: str
    called_aet: str
    time_limit_seconds: float
    """For one instance, all attempts together."""
    credentials: Credentials | None = None
    """For HTTP doors."""
    tls: ClientTls | None = None
    """For DICOM doors."""
    pace: Pace | None = None
    """When instances are due; None: as fast as it goes."""
    first_number: int = 0
    """Of those of all senders, the number of the first instance of this one; its others follow at `senders` each."""
    senders: int = 1
    send_again_percent: float = 0.0


def presentation_contexts(size: Size) -> list[tuple[str, list[str]]]:
    """What has to be negotiated for studies of this size: one context per SOP class and transfer syntax."""
    sop_classes = sorted({kind.sop_class_uid for kind in kinds_of(size)})
    return [(sop_class, [syntax]) for sop_class in sop_classes for syntax in TRANSFER_SYNTAXES]


class GaveUp(Exception):
    """An instance was not acknowledged within its time limit; what comes after it will not be sent."""


class Sender:
    """Sends the instances of one assignment."""

    def __init__(self, assignment: Assignment) -> None:
        self._assignment = assignment
        self._transports = [self._transport(target) for target in assignment.targets]
        self._target = self._home
        self._study = ""
        self._dice = random.Random(f"{assignment.seed}/{assignment.sender}")  # noqa: S311 (test data)

    def run(self, report: Callable[[Delivery], None], stopped: Callable[[], bool] = lambda: False) -> None:
        """Send everything, or what there is until `stopped()`; `report` gets each instance once its fate is known.

        Raises GaveUp after reporting the instance that used up its time limit.
        """
        assignment = self._assignment
        instances = instances_of(assignment.portion, size=assignment.size, seed=assignment.seed)
        began = time.monotonic()
        try:
            for number, instance in enumerate(instances):
                if assignment.pace is not None:
                    due = assignment.pace.due(assignment.first_number + number * assignment.senders)
                    _wait(began + due, stopped)
                if stopped():
                    return
                if instance.study_instance_uid != self._study:
                    self._study = instance.study_instance_uid
                    self._leave()
                    self._target = self._home
                delivery, final = self._deliver(instance)
                report(delivery)
                if not final:
                    raise GaveUp(f"{instance.sop_instance_uid}: {delivery.failures[-1][1]}")
        finally:
            self._leave()

    @property
    def _home(self) -> int:
        return self._assignment.sender % len(self._assignment.targets)

    def _transport(self, target: Target) -> Transport:
        assignment = self._assignment
        timeout_seconds = min(_ANSWER_SECONDS, assignment.time_limit_seconds)
        if target.url:
            return HttpTransport(target, timeout_seconds, assignment.credentials)
        contexts = presentation_contexts(assignment.size)
        tls = assignment.tls.context() if assignment.tls is not None else None
        return DicomTransport(target, assignment.calling_aet, assignment.called_aet, contexts, timeout_seconds, tls)

    def _deliver(self, instance: SyntheticInstance) -> tuple[Delivery, bool]:
        """Send until the fate of the instance is known; whether it is, or the time was over first."""
        deadline = time.monotonic() + self._assignment.time_limit_seconds
        failures: list[tuple[str, str]] = []
        while True:
            target = str(self._assignment.targets[self._target])
            attempt, begun = self._attempt(instance)
            ended = time.monotonic()
            if not attempt.stored:
                failures.append((target, attempt.reason))
            if attempt.stored and self._dice.uniform(0, 100) < self._assignment.send_again_percent:
                again = self._transports[self._target].send(instance)
                if not again.stored:
                    failures.append((target, f"sent once more: {again.reason}"))
            if attempt.final or ended >= deadline:
                break
            self._leave()
            self._target = (self._target + 1) % len(self._assignment.targets)
            _pause(len(failures), deadline)
        delivery = Delivery(
            sender=self._assignment.sender,
            patient_id=instance.patient_id,
            study_instance_uid=instance.study_instance_uid,
            series_instance_uid=instance.series_instance_uid,
            sop_instance_uid=instance.sop_instance_uid,
            data_set_md5=hashlib.md5(instance.data_set, usedforsecurity=False).hexdigest(),
            size=len(instance.data_set),
            target=target,
            status=attempt.status,
            acknowledged_at=ended if attempt.stored else None,
            latency_seconds=ended - begun if attempt.stored else None,
            failures=tuple(failures),
        )
        return delivery, attempt.final

    def _attempt(self, instance: SyntheticInstance) -> tuple[Attempt, float]:
        """Send once, on a connection that is made first if need be; and when the sending itself began."""
        transport = self._transports[self._target]
        begun = time.monotonic()
        if reason := transport.open():
            return Attempt(False, False, None, reason), begun
        begun = time.monotonic()
        return transport.send(instance), begun

    def _leave(self) -> None:
        self._transports[self._target].close()


def _wait(until: float, stopped: Callable[[], bool]) -> None:
    """Until that moment of the monotonic clock, or until stopped."""
    while (left := until - time.monotonic()) > 0 and not stopped():
        time.sleep(min(left, _REPORT_SECONDS))


def _pause(failures: int, deadline: float) -> None:
    """Back off, so that a node that starts or is short of room is not kept busy by refusing; never past `deadline`."""
    longest = min(_LONGEST_PAUSE_SECONDS, 0.02 * 2 ** min(failures, 10))
    time.sleep(max(0.0, min(random.uniform(longest / 2, longest), deadline - time.monotonic())))  # noqa: S311 (jitter)


def main(assignment: Assignment, parent: Connection) -> None:
    """Body of a sender's process. Waits for a word from `parent`, then sends it lists of deliveries, then None.

    A second word ends it after the instance that it is at. A parent that is gone ends the sender at its next report.
    """
    # Ctrl-C reaches the whole process group; what happens then is the parent's decision.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    waiting: list[Delivery] = []
    reported_at = time.monotonic()

    def report(delivery: Delivery) -> None:
        nonlocal reported_at
        waiting.append(delivery)
        if time.monotonic() - reported_at >= _REPORT_SECONDS:
            parent.send(waiting)
            waiting.clear()
            reported_at = time.monotonic()

    try:
        parent.send([])
        parent.recv()
        with suppress(GaveUp):
            Sender(assignment).run(report, stopped=parent.poll)
        parent.send(waiting)
        parent.send(None)
    except (BrokenPipeError, ConnectionResetError, EOFError):
        return
