"""One run of the load generator: look before sending, send, compare."""

import secrets
import signal
import tempfile
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import FrameType

from cluster.config import Settings
from cluster.database import Database
from cluster.errors import ClusterError, ConfigurationError
from cluster.index.check import inconsistencies
from cluster.storage.area import StorageArea
from cluster.storage.choice import open_storage_area
from cluster.storage.names import RandomNames
from workers.load.beside import beside
from workers.load.check import Findings, check
from workers.load.fleet import Fleet, fleet
from workers.load.http_check import HttpArchive, check_over_http
from workers.load.ledger import Delivery, Ledger
from workers.load.options import LoadOptions
from workers.load.plan import Portion, portions
from workers.load.sender import Assignment, Target, presentation_contexts
from workers.load.transports import HttpTransport
from workers.storescu import Association, AssociationEnded

_LOOK_SECONDS = 5.0
_WINDOW_SECONDS = 5.0
_CHECK_SECONDS = 60.0
"""How long a database that fails over may stay away without the result of a long run being lost."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is: numbers of instances, and of attempts beyond the first of each."""

    planned: int
    sent: int
    acknowledged: int
    retries: int
    rate: float = 0.0
    """Acknowledged instances a second, of the last seconds."""
    latency_milliseconds: dict[str, float] = field(default_factory=dict)
    """p50, p95 and p99 of the last seconds."""


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
    """Thresholds that were not kept, and searches that failed; in sentences."""

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
    def passed(self) -> bool:
        """Whether everything planned was sent and acknowledged, and is in the archive exactly once."""
        return self.planned == self.sent == self.acknowledged and self.findings.clean and not self.missed


def run_load(options: LoadOptions, progress: Callable[[Progress], None] | None = None) -> LoadResult:
    """Send and check; blocks, and may run in any thread. An exception out of `progress` ends the run.

    `progress` is called several times a second, in this thread. KeyboardInterrupt while instances are sent ends the
    sending; what was acknowledged until then is checked.

    Raises:
        ConfigurationError: a target, the database or the storage area cannot be used; nothing was sent.
        Transient, DatabaseRefused: the database cannot be asked.
        SenderDied: a sender's process ended early.
    """
    _look_at_archive(options)
    for target in options.targets:
        _look_at_target(options, target)
    with _ledger(options) as ledger, _http_archive(options) as archive:
        seed = _seed(options, ledger)
        before = ledger.totals()[1]
        with beside(ledger, archive, options.queries_per_second, options.metrics):
            started_at = _send(options, seed, ledger, progress or (lambda _: None))
        findings = _check(options, ledger, archive)
        return _result(options, seed, ledger, started_at, before, findings)


def _seed(options: LoadOptions, ledger: Ledger) -> int:
    """That of the run to be resumed, the given one, or a random one; with the options that make the same instances."""
    earlier = ledger.earlier_options() or {}
    seed = int(earlier.get("seed", secrets.randbits(32) if options.seed is None else options.seed))
    if options.resume and options.seed not in (None, seed):
        raise ConfigurationError("--seed", f"is {options.seed}; the run to be resumed had {seed}")
    size = options.size if isinstance(options.size, str) else [asdict(kind) for kind in options.size]
    same_study = options.shared_studies
    ledger.options(
        {
            "seed": seed,
            "senders": options.senders,
            "instances": options.planned,
            "size": size,
            "same-study": same_study,
        }
    )
    return seed


def _check(options: LoadOptions, ledger: Ledger, archive: HttpArchive | None) -> Findings:
    if options.settings is None:
        assert archive is not None
        return check_over_http(ledger, archive)
    with _open(options.settings, _CHECK_SECONDS) as database:
        return check(
            ledger,
            database,
            options.settings.storage_directory,
            count_orphans=options.count_orphans,
            storage=_storage(options.settings, database),
        )


def _storage(settings: Settings, database: Database) -> StorageArea | None:
    """The storage area, where it does not consist of files that can be read by everybody."""
    if not (settings.s3.is_used or settings.postgresql.enable_storage):
        return None
    return open_storage_area(settings, database, RandomNames())


@contextmanager
def _http_archive(options: LoadOptions) -> Iterator[HttpArchive | None]:
    if options.archive is None:
        yield None
        return
    with HttpArchive(options.archive, options.credentials) as archive:
        yield archive


@contextmanager
def _open(settings: Settings, time_budget_seconds: float) -> Iterator[Database]:
    database = Database(settings.postgresql, time_budget_seconds=time_budget_seconds)
    database.open()
    try:
        yield database
    finally:
        database.close()


def _look_at_archive(options: LoadOptions) -> None:
    with _http_archive(options) as archive:
        try:
            if archive is not None:
                archive.system()
        except ClusterError as error:
            raise ConfigurationError("--archive", str(error)) from error
    if options.settings is None:
        return
    if options.settings.s3.is_used or options.settings.postgresql.enable_storage:
        if options.count_orphans:
            raise ConfigurationError("--count-orphans", "counts files only, and there are none in this storage area")
    elif not options.settings.storage_directory.is_dir():
        raise ConfigurationError(
            "StorageDirectory", f"{options.settings.storage_directory} is no folder here, so files cannot be checked"
        )
    with _open(options.settings, _LOOK_SECONDS) as database:
        # Proves that the tables are there, too. What it finds now is not ours, and will be found again.
        inconsistencies(database)


def _look_at_target(options: LoadOptions, target: Target) -> None:
    if target.url:
        transport = HttpTransport(target, _LOOK_SECONDS, options.credentials)
        if reason := transport.open():
            raise ConfigurationError("--target", f"{target}: {reason}")
        transport.close()
        return
    wanted = presentation_contexts(options.size)
    try:
        association = Association.request(
            target.host,
            target.port,
            called_aet=options.aet,
            calling_aet=options.calling_aet,
            contexts=wanted,
            timeout_seconds=_LOOK_SECONDS,
            tls=options.tls.context() if options.tls is not None else None,
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


def _assignments(options: LoadOptions, seed: int, behind: Mapping[int, int]) -> list[Assignment]:
    """Who sends what; of a run that is resumed, what each sender has not behind it yet."""
    dealt = portions(options.senders, options.planned, options.shared_studies)
    return [
        Assignment(
            sender=sender,
            portion=Portion(portion.stream, portion.numbers[behind.get(sender, 0) :]),
            size=options.size,
            seed=seed,
            targets=options.targets,
            calling_aet=options.calling_aet,
            called_aet=options.aet,
            time_limit_seconds=options.time_limit_seconds,
            credentials=options.credentials,
            tls=options.tls,
            pace=options.pace,
            first_number=sender,
            senders=options.senders,
            send_again_percent=options.send_again_percent,
        )
        for sender, portion in enumerate(dealt)
        if portion.numbers[behind.get(sender, 0) :]
    ]


def _send(options: LoadOptions, seed: int, ledger: Ledger, progress: Callable[[Progress], None]) -> float:
    """Run the senders to their end and return when they began."""
    behind = ledger.go_on()
    sent = acknowledged = sum(behind.values())
    attempts = ledger.totals()[2]
    recent: deque[tuple[float, float]] = deque()
    with fleet(_assignments(options, seed, behind)) as senders:
        started_at = time.monotonic()
        senders.go()
        for report in _until_interrupted(senders):
            ledger.add(report)
            sent += len(report)
            attempts += sum(delivery.attempts for delivery in report)
            stored = [each for each in report if each.acknowledged_at is not None]
            acknowledged += len(stored)
            recent.extend((each.acknowledged_at or 0.0, each.latency_seconds or 0.0) for each in stored)
            progress(Progress(options.planned, sent, acknowledged, attempts - sent, *_recent(recent)))
    return started_at


def _until_interrupted(senders: Fleet) -> Iterator[list[Delivery]]:
    """All reports; the first Ctrl-C ends the sending, a second one the program."""
    with _deferred_interrupt() as interrupted:
        is_told = False
        for report in senders.reports():
            if interrupted.is_set() and not is_told:
                senders.stop()
                is_told = True
            yield report


@contextmanager
def _deferred_interrupt() -> Iterator[threading.Event]:
    """Set at the first SIGINT, which therefore never comes in the middle of a report that is being written down."""
    interrupted = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield interrupted  # where Python gets no signals
        return

    def note(number: int, frame: FrameType | None) -> None:
        if interrupted.is_set():
            raise KeyboardInterrupt
        interrupted.set()

    before = signal.signal(signal.SIGINT, note)
    try:
        yield interrupted
    finally:
        signal.signal(signal.SIGINT, before)


def _recent(window: deque[tuple[float, float]]) -> tuple[float, dict[str, float]]:
    """Rate and percentiles of the last seconds, in instances a second and milliseconds; forgets what is older."""
    now = time.monotonic()
    while window and window[0][0] < now - _WINDOW_SECONDS:
        window.popleft()
    latencies = sorted(1000 * latency for _, latency in window)
    percentiles = (
        {f"p{each}": latencies[min(len(latencies) - 1, len(latencies) * each // 100)] for each in (50, 95, 99)}
        if latencies
        else {}
    )
    return len(latencies) / _WINDOW_SECONDS, percentiles


def _result(
    options: LoadOptions, seed: int, ledger: Ledger, started_at: float, before: int, findings: Findings
) -> LoadResult:
    sent, acknowledged, attempts, acknowledged_bytes = ledger.totals()
    latencies = {percentile: ledger.latency_seconds(percentile) for percentile in (50, 95, 99)}
    latency_milliseconds = {
        f"p{percentile}": None if seconds is None else round(1000 * seconds, 3)
        for percentile, seconds in latencies.items()
    }
    seconds = (ledger.last_acknowledged_at() or started_at) - started_at
    rate = (acknowledged - before) / seconds if seconds > 0 else 0.0
    return LoadResult(
        seed=seed,
        planned=options.planned,
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
            *options.thresholds.missed(latency_milliseconds, rate, attempts - sent),
            *(f"{number} searches failed: {text}" for text, number in _failed_searches(ledger).items()),
        ),
    )


def _failed_searches(ledger: Ledger) -> Counter[str]:
    return Counter(failure for _, _, failure in ledger.searches() if failure)
