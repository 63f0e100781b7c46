"""What the watcher, the ledger and the writers say of one upgrade beside writers, put together."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from benchmarks.figures import Part
from benchmarks.upgrade.child_counts import CHILD_COUNTS
from benchmarks.upgrade.lock_watch import EXCLUSIVE, Spell
from benchmarks.upgrade.process import LedgerStep
from benchmarks.upgrade.writers import Stored

LIMIT_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Findings:
    """Spells of waiting, and transactions, by phase; the upgrade went from `began` to `ended`."""

    steps: Sequence[LedgerStep]
    spells: Sequence[Spell]
    stored: Sequence[Stored]
    began: float
    ended: float

    def report(self, part: Part, online_seconds: float, offline_seconds: float, left_seconds: float) -> None:
        """Add figures and details.

        Args:
            offline_seconds: of the offline way's transaction, and
            left_seconds: of the child counts that it leaves to be filled in, alone.
        """
        waits = [spell for spell in self.spells if spell.name != EXCLUSIVE]
        online = self._longest(waits, in_switch=False)
        within = self._longest(waits, in_switch=True)
        held = self._held()
        part.add(
            "longest wait of a writer for a lock, online phases", "< 1 s", f"{online:.3f} s", online < LIMIT_SECONDS
        )
        part.add("exclusive lock of the switch", "< 1 s", f"{held:.3f} s", held < LIMIT_SECONDS)
        part.add("longest wait of a writer around the switch", "< 1 s", f"{within:.3f} s", within < LIMIT_SECONDS)
        complete = offline_seconds + left_seconds
        for name, seconds, way in (
            ("whole upgrade beside writers", offline_seconds, "offline, child counts left"),
            ("the same, to the same end", complete, "offline, then child counts"),
        ):
            wanted, measured = f"< {seconds:.1f} s ({way})", f"{online_seconds:.1f} s"
            part.add(name, wanted, measured, online_seconds < seconds, is_speed=True)
        same_work = online_seconds - sum(step.seconds for step in self.steps if step.name == CHILD_COUNTS.name)
        part.details |= {
            "offline_seconds": round(offline_seconds, 2),
            "offline_seconds_of_child_counts_left": round(left_seconds, 2),
            "online_seconds": round(online_seconds, 2),
            "online_seconds_without_child_counts": round(same_work, 2),
            "steps": {step.name: round(step.seconds, 3) for step in self.steps},
            "switch_held_milliseconds": self._switch.held_milliseconds,
            "switch_held_seen_from_outside": round(self._held_outside(), 3),
            "longest_transaction_seconds": {
                "online phases": round(self._longest_transaction(in_switch=False), 3),
                "around the switch": round(self._longest_transaction(in_switch=True), 3),
            },
            "instances_per_second": self._rates(),
            "attempts_at_most": max((stored.attempts for stored in self.stored), default=0),
        }

    @property
    def _switch(self) -> LedgerStep:
        [found] = [step for step in self.steps if step.phase == "switch"]
        return found

    def _held(self) -> float:
        """The longer one of what the product says of itself and what was seen."""
        return max((self._switch.held_milliseconds or 0) / 1000, self._held_outside())

    def _held_outside(self) -> float:
        # A TRUNCATE, say, of another step would be as bad: every exclusive lock counts.
        return max((spell.seconds for spell in self.spells if spell.name == EXCLUSIVE), default=0.0)

    def _longest(self, spells: Iterable[Spell], *, in_switch: bool) -> float:
        return max((spell.seconds for spell in spells if self._is_in_switch(spell) == in_switch), default=0.0)

    def _longest_transaction(self, *, in_switch: bool) -> float:
        spells = (Spell("", stored.began, stored.began + stored.seconds) for stored in self.stored)
        return self._longest(spells, in_switch=in_switch)

    def _is_in_switch(self, spell: Spell) -> bool:
        assert self._switch.begun_at is not None
        assert self._switch.done_at is not None
        return spell.overlaps(self._switch.begun_at, self._switch.done_at)

    def _rates(self) -> dict[str, float]:
        """Instances a second before, during and after the upgrade."""
        times = [stored.began for stored in self.stored]
        first, last = min(times, default=self.began), max(times, default=self.ended)
        spans = {"before": (first, self.began), "during": (self.began, self.ended), "after": (self.ended, last)}
        return {
            name: round(sum(since <= moment < until for moment in times) / max(until - since, 0.001), 1)
            for name, (since, until) in spans.items()
        }
