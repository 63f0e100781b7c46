"""What the judge concludes from histories, each sentence of it."""

import hashlib
from itertools import count

import pytest

from workers.prove.history import Kind, Operation, Outcome
from workers.prove.rules import Fate, Violation, fates, judge_follower, judge_revisions

_CLOCK = count()


def asked(kind: Kind, outcome: Outcome, value: str = "") -> Operation:
    began = float(next(_CLOCK))
    return Operation("client", kind, "instance", value, began, began + 0.5, outcome)


STORED = asked(Kind.STORE, Outcome.DONE)
STORE_LOST = asked(Kind.STORE, Outcome.UNKNOWN)
STORE_REFUSED = asked(Kind.STORE, Outcome.REFUSED)
DELETED = asked(Kind.DELETE, Outcome.DONE, "present")
DELETED_ABSENT = asked(Kind.DELETE, Outcome.DONE, "absent")
DELETE_LOST = asked(Kind.DELETE, Outcome.UNKNOWN)
READ_SAME = asked(Kind.READ, Outcome.DONE, "same")
READ_OTHER = asked(Kind.READ, Outcome.DONE, "other")
READ_ABSENT = asked(Kind.READ, Outcome.DONE, "absent")
READ_LOST = asked(Kind.READ, Outcome.UNKNOWN)
UNEXPECTED = asked(Kind.STORE, Outcome.UNEXPECTED)


@pytest.mark.parametrize(
    ("operations", "fate"),
    [
        ([STORED], Fate.PRESENT),
        ([STORE_REFUSED], Fate.ABSENT),
        ([STORE_LOST], Fate.EITHER),
        ([STORE_LOST, STORED], Fate.PRESENT),
        ([STORED, STORE_LOST], Fate.PRESENT),
        ([STORED, READ_SAME, READ_LOST], Fate.PRESENT),
        ([STORED, DELETED], Fate.ABSENT),
        ([STORED, DELETED, STORED], Fate.PRESENT),
        ([STORED, DELETE_LOST], Fate.EITHER),
        ([STORED, DELETE_LOST, DELETED_ABSENT], Fate.ABSENT),
        # The lost request may arrive after everything else
        ([STORE_LOST, STORED, DELETED], Fate.EITHER),
        ([STORED, DELETE_LOST, STORED], Fate.EITHER),
    ],
)
def test_fate(operations: list[Operation], fate: Fate) -> None:
    ((_, found, violations),) = fates(operations)
    assert (found, violations) == (fate, [])


@pytest.mark.parametrize(
    ("operations", "rule"),
    [
        ([STORED, READ_ABSENT], "acknowledged is there"),
        ([STORED, DELETED_ABSENT], "acknowledged is there"),
        ([STORED, READ_OTHER], "what is read is what was stored"),
        ([STORE_LOST, READ_OTHER], "what is read is what was stored"),
        ([STORED, DELETED, READ_SAME], "deleted is gone"),
        ([UNEXPECTED], "answers are explicable"),
    ],
)
def test_broken(operations: list[Operation], rule: str) -> None:
    ((_, _, violations),) = fates(operations)
    assert [violation.rule for violation in violations] == [rule]


def revised(outcome: Outcome, value: str, detail: str, began: float, ended: float) -> Operation:
    return Operation("client", Kind.REVISE, "instance", value, began, ended, outcome, detail)


def etag(revision: int, value: str) -> str:
    return f'"{revision}-{hashlib.md5(value.encode()).hexdigest()}"'


def rules(violations: object) -> list[str]:
    return [violation.rule for violation in violations]  # type: ignore[attr-defined]


FIRST = revised(Outcome.DONE, "a", etag(0, "a"), 0, 1)
SECOND = revised(Outcome.DONE, "b", etag(1, "b"), 2, 3)
LOST = revised(Outcome.UNKNOWN, "c", "", 4, 5)


@pytest.mark.parametrize(
    ("operations", "final", "broken"),
    [
        ([FIRST, SECOND], etag(1, "b"), []),
        ([FIRST, SECOND, LOST], etag(2, "c"), []),
        # One revision that nobody tried
        ([FIRST, SECOND], etag(2, "c"), ["each revision is given once"]),
        ([FIRST, SECOND], etag(0, "a"), ["acknowledged is there"]),
        ([FIRST, SECOND], etag(1, "x"), ["acknowledged is there"]),
        ([FIRST], "", ["acknowledged is there"]),
        ([FIRST, revised(Outcome.DONE, "d", etag(0, "d"), 2, 3)], etag(1, "e"), ["each revision is given once"] * 2),
        ([SECOND, revised(Outcome.DONE, "a", etag(0, "a"), 8, 9)], etag(1, "b"), ["revisions follow time"]),
    ],
)
def test_revisions(operations: list[Operation], final: str, broken: list[str]) -> None:
    found = rules(judge_revisions(operations, {"instance": final}))
    assert found == broken


@pytest.mark.parametrize(
    ("shown", "broken"),
    [
        ([1, 2, 4], []),
        ([1, 2, 3, 4], []),
        ([1, 4], ["no change is missed"]),
        ([1, 2, 2, 4], ["changes come once and in order"]),
        ([2, 1, 4], ["changes come once and in order"]),
    ],
)
def test_follower(shown: list[int], broken: list[str]) -> None:
    # Change 3 has left the log with its resource; 5 came after the follower's last page
    assert rules(judge_follower("follower", shown, 4, [1, 2, 4, 5])) == broken


def test_a_finding_names_client_and_time() -> None:
    ((_, _, (violation,)),) = fates([STORED, READ_ABSENT])
    assert violation == Violation(
        "acknowledged is there", "instance", f"client at {READ_ABSENT.began:.3f} s: a read did not find it"
    )
