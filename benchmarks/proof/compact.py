"""The history of a run of `prove` in a form that is small enough for git, and still says what it was judged by.

What the judge concludes about an instance follows from the sequence of what was asked and answered, not from the times,
and hundreds of thousands of instances share a few thousand sequences: those are counted. Revisions, changes shown and
faults are kept one by one, as differences. The whole history is named by its SHA-256.
"""

import hashlib
import json
import lzma
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any

from workers.prove.history import History, Kind, Operation, Outcome

STEP_SECONDS = 10
Document = dict[str, Any]

_OTHERS = tuple(kind for kind in Kind if kind is not Kind.REVISE)
_JUDGED_VALUES = (Kind.READ, Kind.DELETE)
"""Kinds whose `value` is one of a few words, which the judge looks at."""


def compact(path: Path) -> Document:
    """The compact form of the history in that file."""
    with History.read(path) as history:
        sizes = [instance.size for instance in history.instances()]
        document = {
            "instances": len(sizes),
            "bytes": sum(sizes),
            "step_seconds": STEP_SECONDS,
            "counts": _counts(history),
            "sequences": _sequences(history),
            "revisions": _revisions(history),
            "followers": {name: _runs(shown) for name, shown in history.followers().items()},
            "faults": [[round(began, 2), round(ended, 2), *names] for began, ended, *names in history.faults()],
        }
    return document | {"whole": {"sha256": digest(path), "bytes": path.stat().st_size}}


def write(document: Mapping[str, Any], file: Path) -> None:
    """As JSON, compressed by xz."""
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    file.write_bytes(lzma.compress(text.encode(), preset=9 | lzma.PRESET_EXTREME))


def read(file: Path) -> Document:
    """What `write` wrote.

    Raises:
        lzma.LZMAError, ValueError: the file is damaged.
    """
    found: Document = json.loads(lzma.decompress(file.read_bytes()))
    return found


def digest(file: Path) -> str:
    """SHA-256 in hexadecimal."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def operations_of(sequence: str) -> Iterator[Operation]:
    """The operations of one instance, with the words of a sequence; times are places in it."""
    for place, word in enumerate(sequence.split()):
        kind, outcome, value = word.split(":")
        yield Operation("", Kind(kind), sequence, value, place, place, Outcome(outcome))


def revisions_of(columns: Mapping[str, Sequence[Any]], subject: str) -> Iterator[Operation]:
    """The attempts to revise one metadata; with another value than its writer gave, as values are not kept."""
    began = 0
    for client, since, took, outcome, revision in zip(
        *(columns[name] for name in ("client", "since", "took", "outcome", "revision")), strict=True
    ):
        began += since
        detail = "" if revision is None else etag(revision)
        times = (began / 1000, (began + took) / 1000)
        yield Operation(client, Kind.REVISE, subject, "", *times, Outcome(outcome), detail)


def etag(revision: int) -> str:
    """Of an empty value."""
    return f'"{revision}-{hashlib.md5(b"", usedforsecurity=False).hexdigest()}"'


def shown(runs: Iterable[Sequence[int]]) -> list[int]:
    """The change numbers of a follower, from gaps and lengths of what came without one."""
    numbers: list[int] = []
    last = 0
    for gap, length in runs:
        numbers += range(last + gap, last + gap + length)
        last = numbers[-1]
    return numbers


def _counts(history: History) -> dict[str, list[int]]:
    """How often each kind had which outcome, in each ten seconds by when it ended."""
    found: Counter[tuple[str, int]] = Counter()
    for each in history.operations(*Kind):
        found[f"{each.kind} {each.outcome}", int(each.ended // STEP_SECONDS)] += 1
    end = max((step for _, step in found), default=-1) + 1
    return {name: [found[name, step] for step in range(end)] for name in sorted({name for name, _ in found})}


def _sequences(history: History) -> dict[str, int]:
    found = Counter(
        " ".join(f"{each.kind}:{each.outcome}:{each.value if each.kind in _JUDGED_VALUES else ''}" for each in group)
        for _, group in groupby(history.operations(*_OTHERS), key=lambda each: each.subject)
    )
    return dict(sorted(found.items()))


def _revisions(history: History) -> dict[str, Document]:
    """Milliseconds: a beginning rounded down, an end up, so that rounding never puts one attempt after another."""
    found: dict[str, Document] = {}
    for subject, group in groupby(history.operations(Kind.REVISE), key=lambda each: each.subject):
        tried = list(group)
        began = [math.floor(1000 * each.began) for each in tried]
        found[subject] = {
            "client": [each.client for each in tried],
            "since": [began[0], *(later - earlier for earlier, later in pairwise(began))],
            "took": [math.ceil(1000 * each.ended) - since for each, since in zip(tried, began, strict=True)],
            "outcome": [each.outcome for each in tried],
            "revision": [_revision(each) for each in tried],
        }
    return found


def _revision(each: Operation) -> int | None:
    return int(each.detail.strip('"').partition("-")[0]) if each.outcome is Outcome.DONE else None


def _runs(numbers: Sequence[int]) -> list[list[int]]:
    runs: list[list[int]] = []
    last = 0
    for number in numbers:
        if runs and number == last + 1:
            runs[-1][1] += 1
        else:
            runs.append([number - last, 1])
        last = number
    return runs
