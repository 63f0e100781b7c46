"""One sender: its instances, one association at a time, each instance sent again until it is acknowledged.

An association (or HTTP connection) per study to the sender's own target, as modalities do; when that fails, the next
target takes over until the study ends. What is no final answer is sent again, the same bytes, because nobody can know
whether it was stored before the answer was lost.
"""

import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from threading import Event

from workers.client_tls import ClientTls
from workers.load.files import Catalogue
from workers.load.instance import Instance, md5_of, size_of
from workers.load.ledger import Delivery, Failure
from workers.load.pace import Pace
from workers.load.plan import Portion, copies_of, instances_of
from workers.load.studies import Size, kinds_of
from workers.load.synthetic import TRANSFER_SYNTAXES
from workers.load.targets import Target
from workers.load.transports import NO_ASSOCIATION, Attempt, Credentials, DicomTransport, HttpTransport, Transport

__all__ = ["NO_ASSOCIATION", "Assignment", "GaveUp", "Sender", "Target", "presentation_contexts"]

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
    overwrite_percent: float = 0.0
    bytes_per_second: float | None = None
    """No faster than that; None: as fast as it goes."""
    files: Catalogue | None = None
    """What is sent, under new UIDs, instead of synthetic studies."""

    @property
    def contexts(self) -> list[tuple[str, list[str]]]:
        """What has to be negotiated."""
        return presentation_contexts(self.size, self.files)

    def instances(self) -> Iterator[Instance]:
        """What is to be sent, made as it is asked for."""
        if self.files is not None:
            return copies_of(self.portion, self.files.files, self.seed)
        return instances_of(self.portion, size=self.size, seed=self.seed)


def presentation_contexts(size: Size, files: Catalogue | None = None) -> list[tuple[str, list[str]]]:
    """What has to be negotiated for files, or studies of this size: one context per SOP class and transfer syntax."""
    if files is not None:
        return [(sop_class, [syntax]) for sop_class, syntax in files.kinds]
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

    def run(self, report: Callable[[Delivery], None], stopping: Event) -> None:
        """Send everything, or what there is until `stopping`; `report` gets each instance once its fate is known.

        Raises GaveUp after reporting the instance that used up its time limit.
        """
        assignment = self._assignment
        began = time.monotonic()
        try:
            for number, instance in enumerate(assignment.instances()):
                if assignment.pace is not None:
                    due = assignment.pace.due(assignment.first_number + number * assignment.senders)
                    stopping.wait(max(0.0, began + due - time.monotonic()))
                if stopping.is_set():
                    return
                if instance.study_instance_uid != self._study:
                    self._study = instance.study_instance_uid
                    self._leave()
                    self._target = self._home
                delivery, final = self._deliver(instance)
                report(delivery)
                if not final:
                    raise GaveUp(f"{instance.sop_instance_uid}: {delivery.failures[-1].reason}")
        finally:
            self._leave()

    @property
    def _home(self) -> int:
        return self._assignment.sender % len(self._assignment.targets)

    def _transport(self, target: Target) -> Transport:
        assignment = self._assignment
        timeout_seconds = min(_ANSWER_SECONDS, assignment.time_limit_seconds)
        slow = assignment.bytes_per_second
        if target.url:
            return HttpTransport(target, timeout_seconds, assignment.credentials, slow)
        names = assignment.calling_aet, assignment.called_aet
        tls = assignment.tls.context() if assignment.tls is not None else None
        return DicomTransport(target, *names, assignment.contexts, timeout_seconds, tls, slow)

    def _deliver(self, instance: Instance) -> tuple[Delivery, bool]:
        """Send until the fate of the instance is known; whether it is, or the time was over first."""
        deadline = time.monotonic() + self._assignment.time_limit_seconds
        failures: list[Failure] = []
        second = None
        while True:
            target = str(self._assignment.targets[self._target])
            attempt, begun = self._attempt(instance)
            ended = time.monotonic()
            if not attempt.stored:
                failures.append(Failure(target, attempt.reason, ended))
            elif not failures and self._happens(self._assignment.overwrite_percent):
                second = self._overwrite(instance, failures)
            elif self._happens(self._assignment.send_again_percent):
                self._once_more(instance, "sent once more", failures)
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
            sop_class_uid=instance.sop_class_uid,
            transfer_syntax_uid=instance.transfer_syntax_uid,
            data_set_md5=md5_of(instance.pieces),
            size=size_of(instance.pieces),
            target=target,
            status=attempt.status,
            acknowledged_at=ended if attempt.stored else None,
            latency_seconds=ended - begun if attempt.stored else None,
            failures=tuple(failures),
            second=second,
        )
        return delivery, attempt.final

    def _happens(self, percent: float) -> bool:
        return percent > 0 and self._dice.uniform(0, 100) < percent

    def _overwrite(self, instance: Instance, failures: list[Failure]) -> tuple[str, bool]:
        """Send other content under the same identifiers; its MD5, and whether that was acknowledged."""
        changed = instance.changed()
        return md5_of(changed.pieces), self._once_more(changed, "sent with other content", failures)

    def _once_more(self, instance: Instance, what: str, failures: list[Failure]) -> bool:
        attempt = self._transports[self._target].send(instance)
        if not attempt.stored:
            target = str(self._assignment.targets[self._target])
            failures.append(Failure(target, f"{what}: {attempt.reason}", time.monotonic()))
        return attempt.stored

    def _attempt(self, instance: Instance) -> tuple[Attempt, float]:
        """Send once, on a connection that is made first if need be; and when the sending itself began."""
        transport = self._transports[self._target]
        begun = time.monotonic()
        if reason := transport.open():
            return Attempt(False, False, None, reason), begun
        begun = time.monotonic()
        return transport.send(instance), begun

    def _leave(self) -> None:
        self._transports[self._target].close()


def _pause(failures: int, deadline: float) -> None:
    """Back off, so that a node that starts or is short of room is not kept busy by refusing; never past `deadline`."""
    longest = min(_LONGEST_PAUSE_SECONDS, 0.02 * 2 ** min(failures, 10))
    time.sleep(max(0.0, min(random.uniform(longest / 2, longest), deadline - time.monotonic())))  # noqa: S311 (jitter)
