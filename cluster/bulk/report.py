"""The report of an import: every refused file with its reason, as JSON Lines (https://jsonlines.org)."""

import json
from collections.abc import Iterable
from typing import IO

from cluster.bulk.entries import Refusal, printable


def write_report(stream: IO[str], refusals: Iterable[Refusal]) -> int:
    """One line a file with `path`, `member` (null outside of archives), `outcome` and `reason`; returns their number.

    Bytes of a path that are not UTF-8 appear as ``\\udcXX``, as Python's `surrogateescape` spells them.
    """
    lines = 0
    for refusal in refusals:
        values = {
            "path": printable(refusal.file.path),
            "member": refusal.file.member,
            "outcome": refusal.outcome,
            "reason": refusal.reason,
        }
        stream.write(json.dumps(values, ensure_ascii=False) + "\n")
        lines += 1
    return lines
