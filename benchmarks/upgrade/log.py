"""What happened when: what the benchmark did, each step of the upgrade, and what writers met meanwhile."""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.upgrade.lock_watch import EXCLUSIVE, Spell
from benchmarks.upgrade.process import LedgerStep
from benchmarks.upgrade.writers import Stored

WAIT_SECONDS = 0.05
"""Shorter waits of writers are counted only."""


@dataclass(slots=True)
class Log:
    """Lines by time, seconds since the epoch; they may be noted in any order."""

    _entries: list[tuple[float, str]] = field(default_factory=list)

    def note(self, text: str, at: float | None = None) -> None:
        """Something happened, now unless told otherwise."""
        self._entries.append((time.time() if at is None else at, text))

    def telling(self, tell: Callable[[str], None]) -> Callable[[str], None]:
        """`tell`, whose texts are noted too."""

        def both(text: str) -> None:
            self.note(text)
            tell(text)

        return both

    def steps(self, steps: Iterable[LedgerStep]) -> None:
        """Note what the upgrade has written down of itself."""
        for step in steps:
            assert step.begun_at is not None
            assert step.done_at is not None
            held = f", locks held for {step.held_milliseconds:.0f} ms" if step.held_milliseconds is not None else ""
            self.note(f"{step.name} begins", step.begun_at)
            self.note(f"{step.name} is done in {step.seconds:.3f} s, {step.rows:,} rows{held}", step.done_at)

    def writers(self, stored: Sequence[Stored], spells: Iterable[Spell]) -> None:
        """Note for each second how many instances were acknowledged, and each longer wait for a lock."""
        ends = Counter(int(each.began + each.seconds) for each in stored)
        for second in range(min(ends, default=0), max(ends, default=-1) + 1):
            self.note(f"{ends[second]:,} instances acknowledged in this second", second)
        short = 0
        for spell in spells:
            if spell.name == EXCLUSIVE:
                self.note(f"an exclusive lock on Resources was held for {spell.seconds:.3f} s", spell.since)
            elif spell.seconds >= WAIT_SECONDS:
                writer = spell.name.rsplit(" ", 2)[0]  # behind it are day and time at which its statement began
                self.note(f"{writer} waited {spell.seconds:.3f} s for a lock", spell.since)
            else:
                short += 1
        self.note(f"{short:,} waits of writers shorter than {WAIT_SECONDS} s")

    def write(self, file: Path) -> None:
        """One line each, in the order of time, with the seconds since the first."""
        entries = sorted(self._entries, key=lambda entry: entry[0])
        began = entries[0][0] if entries else 0.0
        file.write_text("".join(f"{_moment(at)} {at - began:+10.3f} s  {text}\n" for at, text in entries), "utf-8")


def _moment(at: float) -> str:
    return f"{time.strftime('%Y-%m-%d %H:%M:%S', time.gmtime(at))}.{int(at * 1000) % 1000:03d}"
