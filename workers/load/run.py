"""One run of the load generator: look before sending, send, compare."""

import secrets
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from types import FrameType

from cluster.errors import ConfigurationError
from workers.load.beside import Beside
from workers.load.check import Findings
from workers.load.fleet import Fleet, fleet
from workers.load.ledger import Delivery, Ledger
from workers.load.live import Live, Progress
from workers.load.look import look_at_target
from workers.load.options import LoadOptions
from workers.load.plan import Portion, portions
from workers.load.result import LoadResult, result_of
from workers.load.sender import Assignment

__all__ = ["LoadResult", "Progress", "run_load"]


def run_load(options: LoadOptions, progress: Callable[[Progress], None] | None = None) -> LoadResult:
    """Send and check; blocks, and may run in any thread. An exception out of `progress` ends the run.

    `progress` is called several times a second, in this thread. KeyboardInterrupt while instances are sent ends the
    sending; what was acknowledged until then is checked.

    Raises:
        ConfigurationError: a target, the database or the storage area cannot be used; nothing was sent.
        Transient, DatabaseRefused: the database cannot be asked.
        SenderDied: a sender's process ended early.
    """
    with ExitStack() as stack:
        verifier = stack.enter_context(options.place.opened())
        verifier.look()
        for target in options.targets:
            look_at_target(options, target)
        ledger = stack.enter_context(_ledger(options))
        seed = _seed(options, ledger)
        before = ledger.totals()[1]
        beside = Beside(
            verifier.door,
            options.queries_per_second / options.parts,
            options.deletes_per_second / options.parts,
            options.metrics,
        )
        planned = _send(options, seed, ledger, beside, progress or (lambda _: None))
        seconds = ledger.newest_seconds()
        return result_of(
            ledger,
            verifier.verify(ledger) if options.check else Findings(),
            seed=seed,
            planned=planned,
            seconds=seconds,
            thresholds=options.thresholds,
            before=before,
            checked=options.check,
        )


def _seed(options: LoadOptions, ledger: Ledger) -> int:
    """That of the run to be resumed, the given one, or a random one; with the options that make the same instances."""
    earlier = ledger.earlier_options() or {}
    seed = int(earlier.get("seed", secrets.randbits(32) if options.seed is None else options.seed))
    if options.resume and options.seed not in (None, seed):
        raise ConfigurationError("--seed", f"is {options.seed}; the run to be resumed had {seed}")
    size = options.size if isinstance(options.size, str) else [asdict(kind) for kind in options.size]
    ledger.options(
        {
            "seed": seed,
            "senders": options.senders,
            "instances": options.planned,
            "size": size,
            "same-study": options.shared_studies,
            "files": options.files.fingerprint if options.files is not None else None,
            "part": f"{options.part}/{options.parts}",
        }
    )
    return seed


@contextmanager
def _ledger(options: LoadOptions) -> Iterator[Ledger]:
    with (
        tempfile.TemporaryDirectory(prefix="orthanc-cluster-load-") as folder,
        Ledger(options.ledger or Path(folder, "ledger.sqlite")) as ledger,
    ):
        yield ledger


def _portions(options: LoadOptions) -> dict[int, Portion]:
    """By sender, of those senders that this part of the run has."""
    of_files = options.files is not None
    dealt = portions(options.senders, options.planned, options.shared_studies, of_files=of_files)
    return {sender: dealt[sender] for sender in range(options.part - 1, options.senders, options.parts)}


def _assignments(
    options: LoadOptions, seed: int, own: Mapping[int, Portion], behind: Mapping[int, int]
) -> list[Assignment]:
    """Who sends what; of a run that is resumed, what each sender has not behind it yet."""
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
            overwrite_percent=options.overwrite_percent,
            bytes_per_second=options.slow.bytes_per_second if options.slow and options.slow.holds_for(sender) else None,
            files=options.files,
        )
        for sender, portion in own.items()
        if portion.numbers[behind.get(sender, 0) :]
    ]


def _send(options: LoadOptions, seed: int, ledger: Ledger, beside: Beside, progress: Callable[[Progress], None]) -> int:
    """Run the senders to their end; how many instances this part of the run has."""
    own = _portions(options)
    planned = sum(len(portion.numbers) for portion in own.values())
    behind = ledger.go_on()
    live = Live(planned, *ledger.totals()[:3])
    with fleet(_assignments(options, seed, own, behind), options.processes) as senders, _interruptible() as interrupted:
        if options.begin_at is not None:
            interrupted.wait(max(0.0, options.begin_at - time.time()))
        ledger.began(time.monotonic())
        with beside.going_on(ledger):
            senders.go()
            for report in _until(interrupted, senders):
                ledger.add(report)
                progress(live.add(report))
        ledger.ended()
    return planned


def _until(interrupted: threading.Event, senders: Fleet) -> Iterator[list[Delivery]]:
    """All reports; the first Ctrl-C ends the sending, a second one the program."""
    is_told = False
    for report in senders.reports():
        if interrupted.is_set() and not is_told:
            senders.stop()
            is_told = True
        yield report


@contextmanager
def _interruptible() -> Iterator[threading.Event]:
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
