"""Makes the sums of a verdict again from its history alone, with the judge's own rules.

What was looked for in the archive itself (rows, files, statistics) cannot be repeated without the archive: repeat the
run for that.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from benchmarks.proof.compact import Document, etag, operations_of, revisions_of, shown
from workers.prove.history import WITHOUT_EFFECT, Kind, Outcome
from workers.prove.rules import Fate, Violation, fates, judge_follower, judge_revisions


def sums(history: Document) -> dict[str, int]:
    """What `looked_at` of the verdict has to say, as far as the history tells."""
    found = {name: sum(counts) for name, counts in history["counts"].items()}
    found |= Counter(
        name if name.startswith(WITHOUT_EFFECT) else f"fault {name}" for _, _, name, _ in history["faults"]
    )
    found |= {f"instances {fate.value}": 0 for fate in Fate}
    for sequence, number in history["sequences"].items():
        for _, fate, _ in fates(operations_of(sequence)):
            found[f"instances {fate.value}"] += number
    found |= {f"changes shown to {name}": len(shown(runs)) for name, runs in history["followers"].items()}
    return found


def violations(history: Document) -> Counter[str]:
    """How often each promise was broken, as far as the history tells."""
    broken: Counter[str] = Counter()
    for sequence, number in history["sequences"].items():
        for _, _, found in fates(operations_of(sequence)):
            broken.update({each.rule: number for each in found})
    for subject, columns in history["revisions"].items():
        broken.update(_rules(_revisions(subject, columns)))
    for name, runs in history["followers"].items():
        numbers = shown(runs)
        broken.update(_rules(judge_follower(name, numbers, max(numbers, default=0), ())))
    return broken


def differences(history: Document, verdict: Mapping[str, Any]) -> list[str]:
    """What of the verdict does not follow from the history; none: all of it does."""
    said, found, broken = verdict["looked_at"], sums(history), violations(history)
    texts = [
        f"{name}: the verdict says {said.get(name, 0):,}, the history {number:,}"
        for name, number in found.items()
        if said.get(name, 0) != number
    ]
    texts += [f"{name}: in the verdict, not in the history" for name in said if _is_told(name) and name not in found]
    texts += [
        f"{rule}: broken {number:,} times in the history, {verdict['rules'].get(rule, 0):,} times in the verdict"
        for rule, number in broken.items()
        if number > verdict["rules"].get(rule, 0)
    ]
    return texts + list(_contradictions(history, found))


def _contradictions(history: Document, found: Mapping[str, int]) -> Iterator[str]:
    """Where two parts of the history say different things."""
    followed: Counter[str] = Counter()
    for sequence, number in history["sequences"].items():
        for each in operations_of(sequence):
            followed[f"{each.kind} {each.outcome}"] += number
    for columns in history["revisions"].values():
        followed.update(f"{Kind.REVISE} {outcome}" for outcome in columns["outcome"])
    for name in sorted({*followed, *history["counts"]}):
        if followed[name] != found.get(name, 0):
            yield f"{name}: {followed[name]:,} one after the other, {found.get(name, 0):,} over time"
    instances = sum(history["sequences"].values())
    if instances > history["instances"]:
        yield f"{instances:,} instances were asked about, {history['instances']:,} noted"


def _is_told(name: str) -> bool:
    """Whether the history says this, and not the archive."""
    return name.startswith(("fault ", WITHOUT_EFFECT)) or name in {
        f"{kind} {outcome}" for kind in Kind for outcome in Outcome
    }


def _revisions(subject: str, columns: Mapping[str, Any]) -> Iterator[Violation]:
    tried = list(revisions_of(columns, subject))
    last = max((revision for revision in columns["revision"] if revision is not None), default=None)
    return judge_revisions(tried, {} if last is None else {subject: etag(last)})


def _rules(found: Iterable[Violation]) -> Iterator[str]:
    return (each.rule for each in found)
