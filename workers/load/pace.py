"""When instances are due: phases with a rate that may rise or fall, one after the other."""

from bisect import bisect_right
from dataclasses import dataclass
from itertools import accumulate
from math import sqrt


@dataclass(frozen=True, slots=True)
class Phase:
    """A time with a rate that goes evenly from the first to the last value, in instances per second of all senders."""

    seconds: float
    first_rate: float
    last_rate: float

    @property
    def instances(self) -> float:
        """How many are due within it."""
        return self.seconds * (self.first_rate + self.last_rate) / 2

    def due(self, number: float) -> float:
        """Seconds after its beginning at which that many have been due."""
        slope = (self.last_rate - self.first_rate) / self.seconds
        if abs(slope) < 1e-12:
            return number / self.first_rate
        # number = first · t + slope · t² / 2
        return (sqrt(max(0.0, self.first_rate**2 + 2 * slope * number)) - self.first_rate) / slope


@dataclass(frozen=True, slots=True)
class Pace:
    """Phases in a row, all of them as often as `repeat` says."""

    phases: tuple[Phase, ...]
    repeat: int = 1

    @property
    def instances(self) -> int:
        """How many are due in all."""
        return int(self.repeat * self._instances_once)

    @property
    def seconds(self) -> float:
        """How long it lasts."""
        return self.repeat * self._seconds_once

    @property
    def _instances_once(self) -> float:
        return sum(phase.instances for phase in self.phases)

    @property
    def _seconds_once(self) -> float:
        return sum(phase.seconds for phase in self.phases)

    def scaled(self, seconds: float | None = None, rate_factor: float = 1.0) -> "Pace":
        """The same shape within that time, if given, and with rates times `rate_factor`."""
        stretch = 1.0 if seconds is None else seconds / self.seconds
        phases = tuple(
            Phase(stretch * each.seconds, rate_factor * each.first_rate, rate_factor * each.last_rate)
            for each in self.phases
        )
        return Pace(phases, self.repeat)

    def due(self, number: int) -> float:
        """Seconds after the start at which the instance of this number (from 0) is due."""
        ends = list(accumulate(phase.instances for phase in self.phases))
        turn = min(int(number / ends[-1]), self.repeat - 1)
        rest = number - turn * ends[-1]
        index = min(bisect_right(ends, rest), len(self.phases) - 1)
        before = ends[index - 1] if index else 0.0
        began = turn * self._seconds_once + sum(phase.seconds for phase in self.phases[:index])
        return began + self.phases[index].due(rest - before)
