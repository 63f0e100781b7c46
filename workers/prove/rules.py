"""What a history says by itself: which instances have to be there, and which answers cannot have been true.

Each instance belongs to one client, so what was asked of it is a sequence. A request without an answer may have
happened, and may still happen later: from then on only what does not depend on it is certain.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import Enum
from itertools import groupby, pairwise

from workers.prove.doors import md5
from workers.prove.history import Kind, Operation, Outcome


class Fate(Enum):
    """Whether an instance has to be in the archive."""

    PRESENT = "present"
    ABSENT = "absent"
    EITHER = "either"


@dataclass(frozen=True, slots=True)
class Violation:
    """A promise that was broken: which, with what, and how it shows."""

    rule: str
    subject: str
    text: str


@dataclass(slots=True)
class _Instance:
    fate: Fate = Fate.ABSENT
    store_may_come: bool = False
    delete_may_come: bool = False
    violations: list[Violation] = field(default_factory=list)

    def take(self, operation: Operation) -> None:
        if operation.outcome is Outcome.UNEXPECTED:
            self._broken("answers are explicable", operation, operation.detail)
        if operation.outcome is Outcome.REFUSED:
            return
        done = operation.outcome is Outcome.DONE
        match operation.kind:
            case Kind.STORE:
                self._store(done)
            case Kind.DELETE:
                self._delete(operation, done)
            case Kind.READ if done:
                self._read(operation)

    def _store(self, done: bool) -> None:
        self.store_may_come |= not done
        if done:
            self.fate = Fate.EITHER if self.delete_may_come else Fate.PRESENT
        elif self.fate is Fate.ABSENT:
            self.fate = Fate.EITHER

    def _delete(self, operation: Operation, done: bool) -> None:
        if done and operation.value == "absent" and self.fate is Fate.PRESENT:
            self._broken("acknowledged is there", operation, "a delete did not find it")
        self.delete_may_come |= not done
        self.fate = Fate.ABSENT if done and not self.store_may_come else Fate.EITHER

    def _read(self, operation: Operation) -> None:
        if operation.value == "other":
            self._broken("what is read is what was stored", operation, "other bytes")
        elif self.fate is Fate.PRESENT and operation.value == "absent":
            self._broken("acknowledged is there", operation, "a read did not find it")
        elif self.fate is Fate.ABSENT and operation.value == "same":
            self._broken("deleted is gone", operation, "a read found it")

    def _broken(self, rule: str, operation: Operation, text: str) -> None:
        when = f"{operation.client} at {operation.began:.3f} s"
        self.violations.append(Violation(rule, operation.subject, f"{when}: {text}"))


def fates(operations: Iterable[Operation]) -> Iterator[tuple[str, Fate, list[Violation]]]:
    """For each instance: whether it has to be there, and what is wrong already. Ordered by subject and time."""
    for subject, group in groupby(operations, key=lambda operation: operation.subject):
        instance = _Instance()
        for operation in group:
            instance.take(operation)
        yield subject, instance.fate, instance.violations


def judge_revisions(operations: Iterable[Operation], final: dict[str, str]) -> Iterator[Violation]:
    """Each revision was given once, in the order of time, and the last is what is read; `final`: ETag by subject."""
    for subject, group in groupby(operations, key=lambda operation: operation.subject):
        tried = list(group)
        yield from _judge_revisions(subject, tried, final.get(subject, ""))


def _judge_revisions(subject: str, tried: list[Operation], final: str) -> Iterator[Violation]:
    done = sorted(
        ((_revision(each.detail), each) for each in tried if each.outcome is Outcome.DONE),
        key=lambda given: (given[0], given[1].began),
    )
    for operation in tried:
        if operation.outcome is Outcome.UNEXPECTED:
            yield Violation("answers are explicable", subject, f"{operation.client}: {operation.detail}")
    for revision, number in Counter(revision for revision, _ in done).items():
        if number > 1:
            yield Violation("each revision is given once", subject, f"revision {revision} was given {number} times")
    latest = 0.0
    for revision, operation in done:
        if operation.ended < latest:
            yield Violation("revisions follow time", subject, f"revision {revision} was given before an earlier one")
        latest = max(latest, operation.began)
    if not done:
        return
    last, operation = done[-1]
    if not final or _revision(final) < last:
        yield Violation("acknowledged is there", subject, f"revision {last} was given, {final or 'nothing'} is there")
    elif _revision(final) == last and _hash(final) != md5(operation.value.encode()):
        yield Violation("acknowledged is there", subject, f"revision {last} has another value than its writer gave")
    gaps = _revision(final or operation.detail) + 1 - len({revision for revision, _ in done})
    unanswered = len(tried) - len(done)
    if gaps > unanswered:
        yield Violation("each revision is given once", subject, f"{gaps} revisions nobody asked for")


def judge_follower(name: str, shown: list[int], until: int, numbers: Iterable[int]) -> Iterator[Violation]:
    """What a follower was shown is in order, and holds all of `numbers` (those still in the log) up to `until`."""
    for earlier, later in pairwise(shown):
        if later <= earlier:
            yield Violation("changes come once and in order", name, f"{later} was shown after {earlier}")
    seen = set(shown)
    for number in numbers:
        if number > until:
            break
        if number not in seen:
            yield Violation("no change is missed", name, f"change {number} was never shown")


def _revision(etag: str) -> int:
    return int(etag.strip('"').split("-")[0])


def _hash(etag: str) -> str:
    return etag.strip('"').split("-")[1]
