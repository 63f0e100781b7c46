"""How far a run is, while it runs."""

import time
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from workers.load.delivery import Delivery

_WINDOW_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Progress:
    """Numbers of instances, and of attempts beyond the first of each."""

    planned: int
    sent: int
    acknowledged: int
    retries: int
    rate: float = 0.0
    """Acknowledged instances a second, of the last seconds."""
    latency_milliseconds: dict[str, float] = field(default_factory=dict)
    """p50, p95 and p99 of the last seconds."""
    failures: Mapping[str, int] = field(default_factory=dict)
    """Attempts that failed, by status or other reason; the most frequent first."""


class Live:
    """Sums up reports as they come."""

    def __init__(self, planned: int, sent: int, acknowledged: int, attempts: int) -> None:
        """What comes after `planned` is of an earlier run that is resumed."""
        self._planned = planned
        self._sent = sent
        self._acknowledged = acknowledged
        self._attempts = attempts
        self._failures: Counter[str] = Counter()
        self._recent: deque[tuple[float, float]] = deque()

    def add(self, report: Sequence[Delivery]) -> Progress:
        """Take in a report, which may be empty, and tell how far the run is."""
        self._sent += len(report)
        for each in report:
            self._attempts += each.attempts
            self._failures.update(failure.reason for failure in each.failures)
            if each.acknowledged_at is not None:
                self._acknowledged += 1
                self._recent.append((each.acknowledged_at, each.latency_seconds or 0.0))
        retries = self._attempts - self._sent
        failures = dict(self._failures.most_common())
        return Progress(self._planned, self._sent, self._acknowledged, retries, *self._window(), failures)

    def _window(self) -> tuple[float, dict[str, float]]:
        """Rate and percentiles of the last seconds, in instances a second and milliseconds; forgets what is older."""
        now = time.monotonic()
        while self._recent and self._recent[0][0] < now - _WINDOW_SECONDS:
            self._recent.popleft()
        latencies = sorted(1000 * latency for _, latency in self._recent)
        percentiles = (
            {f"p{each}": latencies[min(len(latencies) - 1, len(latencies) * each // 100)] for each in (50, 95, 99)}
            if latencies
            else {}
        )
        return len(latencies) / _WINDOW_SECONDS, percentiles
