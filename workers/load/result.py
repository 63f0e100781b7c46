"""What a run found out, in numbers that follow from its ledger."""

from dataclasses import dataclass

from workers.load.check import Findings
from workers.load.ledger import Ledger
from workers.load.thresholds import Thresholds


@dataclass(frozen=True, slots=True)
class LoadResult:
    """What a run found out; ``lost nothing, doubled nothing`` is `passed`."""

    seed: int
    planned: int
    sent: int
    """Distinct instances of which at least one attempt was made."""
    acknowledged: int
    """Instances for which Success came."""
    acknowledged_before: int
    """Of these, those of the earlier run that was resumed."""
    attempts: int
    acknowledged_bytes: int
    seconds: float
    """From the common start of all senders to the last Success."""
    latency_milliseconds: dict[str, float | None]
    """p50, p95 and p99 of the acknowledged attempts."""
    per_target: dict[str, int]
    failures: dict[str, int]
    """Attempts that failed, by reason."""
    findings: Findings
    missed: tuple[str, ...] = ()
    """Thresholds that were not kept, and searches and deletions that failed; in sentences."""
    searches: int = 0
    deletions: int = 0
    overwritten: int = 0
    """Instances that were acknowledged with two contents."""
    checked: bool = True
    """Whether the archive was looked at."""

    @property
    def instances_per_second(self) -> float:
        """Acknowledged instances per second."""
        return (self.acknowledged - self.acknowledged_before) / self.seconds if self.seconds else 0.0

    @property
    def retries(self) -> int:
        """Attempts beyond the first of each instance."""
        return self.attempts - self.sent

    @property
    def missing(self) -> int:
        """Resources of which something acknowledged is absent."""
        return len(self.findings.missing)

    @property
    def duplicated(self) -> int:
        """Resources of which something is there more than once."""
        return len(self.findings.duplicated)

    @property
    def wrong_bytes(self) -> int:
        """Instances whose file is not what was sent, or not what its row says."""
        return len(self.findings.wrong_bytes)

    @property
    def not_deleted(self) -> int:
        """Instances that were deleted with success and are there."""
        return len(self.findings.not_deleted)

    @property
    def passed(self) -> bool:
        """Whether everything planned was sent and acknowledged, and is in the archive exactly once."""
        return self.planned == self.sent == self.acknowledged and self.findings.clean and not self.missed


def result_of(
    ledger: Ledger,
    findings: Findings,
    *,
    seed: int,
    planned: int,
    seconds: float,
    thresholds: Thresholds,
    before: int = 0,
    checked: bool = True,
) -> LoadResult:
    """The numbers of a ledger; `before` is how many were acknowledged before the `seconds` began."""
    sent, acknowledged, attempts, acknowledged_bytes = ledger.totals()
    latencies = {percentile: ledger.latency_seconds(percentile) for percentile in (50, 95, 99)}
    latency_milliseconds = {
        f"p{percentile}": None if latency is None else round(1000 * latency, 3)
        for percentile, latency in latencies.items()
    }
    rate = (acknowledged - before) / seconds if seconds > 0 else 0.0
    return LoadResult(
        seed=seed,
        planned=planned,
        sent=sent,
        acknowledged=acknowledged,
        acknowledged_before=before,
        attempts=attempts,
        acknowledged_bytes=acknowledged_bytes,
        seconds=max(0.0, seconds),
        latency_milliseconds=latency_milliseconds,
        per_target=ledger.per_target(),
        failures=ledger.failures(),
        findings=findings,
        missed=(
            *thresholds.missed(latency_milliseconds, rate, attempts - sent),
            *(f"{number} {text}" for text, number in ledger.failed_beside().items()),
        ),
        searches=len(ledger.searches()),
        deletions=len(ledger.deletions()),
        overwritten=ledger.overwritten(),
        checked=checked,
    )
