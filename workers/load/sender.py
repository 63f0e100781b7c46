"""One sender: its instances, one association at a time, each instance sent again until it is acknowledged.

An association per study to the sender's own target, as modalities do; when that fails, the next target takes over
until the study ends. A DIMSE status is final unless it says "out of resources" (PS3.4 table B.2-1: 0xA7xx), an
association that ends in any other way than by us is not: the instance is sent again, the same bytes, because nobody
can know whether it was stored before the answer was lost.
"""

import hashlib
import random
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection

from workers.load.ledger import Delivery
from workers.load.plan import Portion, instances_of
from workers.load.studies import SIZES
from workers.load.synthetic import TRANSFER_SYNTAXES, SyntheticInstance
from workers.storescu import Association, AssociationEnded, NotNegotiated

NO_ASSOCIATION = "no association: "
"""How the reason begins where nothing of the instance was sent."""

_REPORT_SECONDS = 0.1
_ANSWER_SECONDS = 30.0
_LONGEST_PAUSE_SECONDS = 1.0


@dataclass(frozen=True, slots=True, order=True)
class Target:
    """A DICOM door of the cluster."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Assignment:
    """Everything that a sender has to know."""

    sender: int
    portion: Portion
    size: str
    seed: int
    targets: tuple[Target, ...]
    calling_aet: str
    called_aet: str
    time_limit_seconds: float
    """For one instance, all attempts together."""


def presentation_contexts(size: str) -> list[tuple[str, list[str]]]:
    """What has to be negotiated for studies of this size: one context per SOP class and transfer syntax."""
    sop_classes = sorted({kind.sop_class_uid for kind in SIZES[size]})
    return [(sop_class, [syntax]) for sop_class in sop_classes for syntax in TRANSFER_SYNTAXES]


class GaveUp(Exception):
    """An instance was not acknowledged within its time limit; what comes after it will not be sent."""


class Sender:
    """Sends the instances of one assignment."""

    def __init__(self, assignment: Assignment) -> None:
        self._assignment = assignment
        self._contexts = presentation_contexts(assignment.size)
        self._association: Association | None = None
        self._target = self._home
        self._study = ""

    def run(self, report: Callable[[Delivery], None], stopped: Callable[[], bool] = lambda: False) -> None:
        """Send everything, or what there is until `stopped()`; `report` gets each instance once its fate is known.

        Raises GaveUp after reporting the instance that used up its time limit.
        """
        assignment = self._assignment
        try:
            for instance in instances_of(assignment.portion, size=assignment.size, seed=assignment.seed):
                if stopped():
                    return
                if instance.study_instance_uid != self._study:
                    self._study = instance.study_instance_uid
                    self._end_association()
                    self._target = self._home
                delivery = self._deliver(instance)
                report(delivery)
                if not _final(delivery.status):
                    raise GaveUp(f"{instance.sop_instance_uid}: {delivery.failures[-1][1]}")
        finally:
            self._end_association()

    @property
    def _home(self) -> int:
        return self._assignment.sender % len(self._assignment.targets)

    def _deliver(self, instance: SyntheticInstance) -> Delivery:
        deadline = time.monotonic() + self._assignment.time_limit_seconds
        failures: list[tuple[str, str]] = []
        while True:
            target = str(self._assignment.targets[self._target])
            status, reason, begun = self._attempt(instance)
            ended = time.monotonic()
            acknowledged = status is not None and _stored(status)
            if not acknowledged:
                failures.append((target, reason))
            if _final(status) or ended >= deadline:
                break
            self._end_association()
            self._target = (self._target + 1) % len(self._assignment.targets)
            _pause(len(failures), deadline)
        return Delivery(
            sender=self._assignment.sender,
            patient_id=instance.patient_id,
            study_instance_uid=instance.study_instance_uid,
            series_instance_uid=instance.series_instance_uid,
            sop_instance_uid=instance.sop_instance_uid,
            data_set_md5=hashlib.md5(instance.data_set, usedforsecurity=False).hexdigest(),
            size=len(instance.data_set),
            target=target,
            status=status,
            acknowledged_at=ended if acknowledged else None,
            latency_seconds=ended - begun if acknowledged else None,
            failures=tuple(failures),
        )

    def _attempt(self, instance: SyntheticInstance) -> tuple[int | None, str, float]:
        """Send once; returns the status if one came, the outcome in words, and when the C-STORE began."""
        begun = time.monotonic()
        try:
            association = self._association or self._associate()
        except AssociationEnded as error:
            return None, f"{NO_ASSOCIATION}{error}", begun
        begun = time.monotonic()
        try:
            status = association.store(
                instance.sop_class_uid, instance.sop_instance_uid, instance.transfer_syntax_uid, instance.data_set
            )
        except (AssociationEnded, NotNegotiated) as error:
            self._end_association()
            return None, str(error), begun
        return status, f"status 0x{status:04X}", begun

    def _associate(self) -> Association:
        target = self._assignment.targets[self._target]
        self._association = Association.request(
            target.host,
            target.port,
            called_aet=self._assignment.called_aet,
            calling_aet=self._assignment.calling_aet,
            contexts=self._contexts,
            timeout_seconds=min(_ANSWER_SECONDS, self._assignment.time_limit_seconds),
        )
        return self._association

    def _end_association(self) -> None:
        if self._association is not None:
            self._association.release()
            self._association = None


def _stored(status: int) -> bool:
    """Success, or a warning, which says stored too (PS3.4 table B.2-1)."""
    return status == 0x0000 or status & 0xF000 == 0xB000


def _final(status: int | None) -> bool:
    """Whether sending the instance again is no use: there was an answer, and it is not "out of resources"."""
    return status is not None and status & 0xFF00 != 0xA700


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
