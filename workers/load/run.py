"""One run of the load generator: look before sending, send, compare."""

import secrets
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cluster.database import Database
from cluster.errors import ConfigurationError
from cluster.index.check import inconsistencies
from workers.load.check import Findings, check
from workers.load.fleet import fleet
from workers.load.ledger import Ledger
from workers.load.options import LoadOptions
from workers.load.plan import portions
from workers.load.sender import Assignment, Target, presentation_contexts
from workers.storescu import Association, AssociationEnded

_LOOK_SECONDS = 5.0
_CHECK_SECONDS = 60.0
"""How long a database that fails over may stay away without the result of a long run being lost."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is: numbers of instances, and of attempts beyond the first of each."""

    planned: int
    sent: int
    acknowledged: int
    retries: int


@dataclass(frozen=True, slots=True)
class LoadResult:
    """What a run found out; ``lost nothing, doubled nothing`` is `passed`."""

    seed: int
    planned: int
    sent: int
    """Distinct instances of which at least one attempt was made."""
    acknowledged: int
    """Instances for which Success came."""
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

    @property
    def instances_per_second(self) -> float:
        """Acknowledged instances per second."""
        return self.acknowledged / self.seconds if self.seconds else 0.0

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
    def passed(self) -> bool:
        """Whether everything planned was sent and acknowledged, and is in the archive exactly once."""
        return self.planned == self.sent == self.acknowledged and self.findings.clean


def run_load(options: LoadOptions, progress: Callable[[Progress], None] | None = None) -> LoadResult:
    """Send and check; blocks, and may run in any thread. An exception out of `progress` ends the run.

    `progress` is called several times a second, in this thread.

    Raises:
        ConfigurationError: a target, the database or the storage area cannot be used; nothing was sent.
        Transient, DatabaseRefused: the database cannot be asked.
        SenderDied: a sender's process ended early.
    """
    seed = secrets.randbits(32) if options.seed is None else options.seed
    _look_at_archive(options)
    for target in options.targets:
        _look_at_target(options, target)
    with _ledger(options) as ledger:
        started_at = _send(options, seed, ledger, progress or (lambda _: None))
        with _open(options, _CHECK_SECONDS) as database:
            findings = check(ledger, database, options.settings.storage_directory, count_orphans=options.count_orphans)
        return _result(options, seed, ledger, started_at, findings)


@contextmanager
def _open(options: LoadOptions, time_budget_seconds: float) -> Iterator[Database]:
    database = Database(options.settings.postgresql, time_budget_seconds=time_budget_seconds)
    database.open()
    try:
        yield database
    finally:
        database.close()


def _look_at_archive(options: LoadOptions) -> None:
    if not options.settings.storage_directory.is_dir():
        raise ConfigurationError(
            "StorageDirectory", f"{options.settings.storage_directory} is no folder here, so files cannot be checked"
        )
    with _open(options, _LOOK_SECONDS) as database:
        # Proves that the tables are there, too. What it finds now is not ours, and will be found again.
        inconsistencies(database)


def _look_at_target(options: LoadOptions, target: Target) -> None:
    wanted = presentation_contexts(options.size)
    try:
        association = Association.request(
            target.host,
            target.port,
            called_aet=options.called_aet or options.settings.dicom.aet,
            calling_aet=options.calling_aet,
            contexts=wanted,
            timeout_seconds=_LOOK_SECONDS,
        )
    except AssociationEnded as error:
        raise ConfigurationError("--target", f"{target}: {error}") from error
    association.release()
    refused = {(sop_class, syntax) for sop_class, (syntax,) in wanted} - association.accepted
    if refused:
        sop_class, syntax = min(refused)
        raise ConfigurationError("--target", f"{target} does not take SOP class {sop_class} in {syntax}")


@contextmanager
def _ledger(options: LoadOptions) -> Iterator[Ledger]:
    with (
        tempfile.TemporaryDirectory(prefix="orthanc-cluster-load-") as folder,
        Ledger(options.ledger or Path(folder, "ledger.sqlite")) as ledger,
    ):
        yield ledger


def _send(options: LoadOptions, seed: int, ledger: Ledger, progress: Callable[[Progress], None]) -> float:
    """Run the senders to their end and return when they began."""
    assignments = [
        Assignment(
            sender=sender,
            portion=portion,
            size=options.size,
            seed=seed,
            targets=options.targets,
            calling_aet=options.calling_aet,
            called_aet=options.called_aet or options.settings.dicom.aet,
            time_limit_seconds=options.time_limit_seconds,
        )
        for sender, portion in enumerate(portions(options.senders, options.instances, options.shared_studies))
        if portion.numbers
    ]
    sent = acknowledged = attempts = 0
    with fleet(assignments) as senders:
        started_at = time.monotonic()
        senders.go()
        for report in senders.reports():
            ledger.add(report)
            sent += len(report)
            acknowledged += sum(delivery.acknowledged_at is not None for delivery in report)
            attempts += sum(delivery.attempts for delivery in report)
            progress(Progress(options.instances, sent, acknowledged, attempts - sent))
    return started_at


def _result(options: LoadOptions, seed: int, ledger: Ledger, started_at: float, findings: Findings) -> LoadResult:
    sent, acknowledged, attempts, acknowledged_bytes = ledger.totals()
    latencies = {percentile: ledger.latency_seconds(percentile) for percentile in (50, 95, 99)}
    return LoadResult(
        seed=seed,
        planned=options.instances,
        sent=sent,
        acknowledged=acknowledged,
        attempts=attempts,
        acknowledged_bytes=acknowledged_bytes,
        seconds=(ledger.last_acknowledged_at() or started_at) - started_at,
        latency_milliseconds={
            f"p{percentile}": None if seconds is None else round(1000 * seconds, 3)
            for percentile, seconds in latencies.items()
        },
        per_target=ledger.per_target(),
        failures=ledger.failures(),
        findings=findings,
    )
