"""Whether a pack is whole, unchanged, and says what it has to say."""

import json
import lzma
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.proof import compact
from benchmarks.proof.contents import HISTORY, MEASURED, PAGE, PROVE, REPORT, SUMS, VERDICT, WHOLE_HISTORY, content_of
from benchmarks.proof.gather import files_of
from benchmarks.proof.recheck import differences
from benchmarks.reporting.documents import PACK, Explanations, documents, figures

COMPACT_BYTES = 1_000_000
"""The history in git stays below this."""


def faults(folder: Path) -> list[str]:
    """What is wrong with the pack in that folder, in words for people; nothing: it holds."""
    return [*_sums(folder), *contradictions(folder)]


def contradictions(folder: Path) -> Iterator[str]:
    """What is wrong with the parts themselves: one is missing, or does not say what it has to say."""
    missing = []
    for each in (PROVE, *MEASURED):
        if each.needed or each.present(folder):
            missing += each.missing(folder)
    yield from (f"{name} is missing" for name in missing)
    yield from _prove(folder)
    yield from _measured(folder)


def _sums(folder: Path) -> Iterator[str]:
    if not (folder / SUMS).exists():
        yield f"{SUMS} is missing: make the pack first"
        return
    yield from (f"{name} is missing" for name in (PAGE, REPORT, PACK) if not (folder / name).exists())
    said = {}
    for line in (folder / SUMS).read_text("utf-8").splitlines():
        digest, _, name = line.partition("  ")
        said[name] = digest
    there = {file.relative_to(folder).as_posix(): file for file in files_of(folder)}
    for name, digest in said.items():
        if name not in there:
            yield f"{name} is in {SUMS} and not in the folder"
        elif compact.digest(there[name]) != digest:
            yield f"{name} was changed after the pack was made"
    yield from (f"{name} came after the pack was made" for name in there if name not in said)


def _prove(folder: Path) -> Iterator[str]:
    if not (folder / VERDICT).exists() or not (folder / HISTORY).exists():
        return
    verdict = json.loads((folder / VERDICT).read_text("utf-8"))
    if not verdict["passed"]:
        yield f"{VERDICT}: promises were broken"
    if verdict["passed"] != (sum(verdict["rules"].values()) == 0):
        yield f"{VERDICT}: it says passed and counts {sum(verdict['rules'].values()):,} broken promises"
    size = (folder / HISTORY).stat().st_size
    if size > COMPACT_BYTES:
        yield f"{HISTORY} has {size:,} bytes, at most {COMPACT_BYTES:,} are wanted"
    try:
        history = compact.read(folder / HISTORY)
    except (lzma.LZMAError, ValueError) as error:
        yield f"{HISTORY} cannot be read: {error}"
        return
    yield from (f"{HISTORY}: {text}" for text in differences(history, verdict))
    yield from _whole(folder, history)


def _whole(folder: Path, history: dict[str, Any]) -> Iterator[str]:
    """The history that the compact one was made of, where the pack has it."""
    file = folder / WHOLE_HISTORY
    if not file.exists():
        return
    if compact.digest(file) != history["whole"]["sha256"]:
        yield f"{WHOLE_HISTORY} is not the one that {HISTORY} was made of"
    elif compact.compact(file) != history:
        yield f"{HISTORY} is not what is made of {WHOLE_HISTORY}"


def _measured(folder: Path) -> Iterator[str]:
    """A figure that is right or wrong has to be right; one of speed may be missed, if somebody says why."""
    results = documents(folder)
    explanations = Explanations.of(folder)
    for name in results:
        if content_of(name) is None:
            yield f"{name}.json: benchmarks/proof/contents.py does not say how to repeat it"
    for each in figures(results):
        where = f"{each.result} {each.part}: {each.figure['name']}"
        if each.missed and not each.figure["is_speed"]:
            yield f"{where}: wanted {each.figure['wanted']}, is {each.figure['measured']}"
        elif each.missed and explanations.why(each) is None:
            yield f"{where}: missed, and explanations.yaml does not say why"
