"""Senders that are not what is measured: DCMTK's `dcmsend`, many processes at once.

It ends with status 0 although a C-STORE failed, so its report is read, which names the status of every instance; and
its log, which says when each was answered. Loading its dictionary and looking through its files is done before the
first association, and does not count.
"""

import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.ingest.corpus import Corpus

TIMEOUT_SECONDS = 900.0
_STATUS = re.compile(r"^DIMSE Status\s*: 0x([0-9A-F]{4})", re.MULTILINE)
_SUCCESS = "0000"
_LOGGING = """log4cplus.rootLogger = INFO, file
log4cplus.appender.file = log4cplus::FileAppender
log4cplus.appender.file.File = {log}
log4cplus.appender.file.ImmediateFlush = false
log4cplus.appender.file.layout = log4cplus::PatternLayout
log4cplus.appender.file.layout.ConversionPattern = %D{{%s.%q}} %m%n
"""


class NotInstalled(LookupError):
    """A program that a benchmark needs is not there; the message names it."""


@dataclass(frozen=True, slots=True)
class Sent:
    """What senders found.

    Attributes:
        instances: to be sent, by all senders.
        failures: those that were not answered with Success (0x0000).
        seconds: from the first association request to the last answer.
        seconds_of_processes: from the start of the first process to the end of the last.
        latencies: seconds from each request to its response, to the millisecond, in no order.
        complaints: ends of the logs of senders of which something failed.
    """

    instances: int
    failures: int
    seconds: float
    seconds_of_processes: float
    latencies: list[float] = field(repr=False)
    complaints: list[str]

    @property
    def rate(self) -> float:
        """Instances a second that were answered with Success."""
        return (self.instances - self.failures) / self.seconds


def send(
    corpus: Corpus, targets: Sequence[str], *, no_delay: bool, called_aet: str = "ORTHANC", senders: int | None = None
) -> Sent:
    """Send a corpus, each of its folders by a process of its own, and wait for all.

    Args:
        targets: ``host:port``; senders take turns.
        no_delay: TCP_NODELAY; otherwise DCMTK's default, which is Nagle's algorithm.
        senders: only the first ones of the corpus.

    Raises:
        NotInstalled: no dcmsend.
        TimeoutError: not done after 15 minutes.
    """
    program = dcmsend()
    environment = {"PATH": os.defpath, "LC_ALL": "C", "TCP_NODELAY": "1" if no_delay else "0"}
    folders = corpus.folders[:senders]
    with tempfile.TemporaryDirectory(prefix="senders-") as work:
        outputs = [Path(work) / str(number) for number in range(len(folders))]
        commands: list[list[str | Path]] = []
        for number, (files, output) in enumerate(zip(folders, outputs, strict=True)):
            output.with_suffix(".cfg").write_text(_LOGGING.format(log=output.with_suffix(".log")))
            host, _, port = targets[number % len(targets)].rpartition(":")
            outputs_to = ("-lc", output.with_suffix(".cfg"), "+crf", output.with_suffix(".txt"))
            commands.append([program, *outputs_to, "-nh", "-aec", called_aet, "+sd", host, port, files])
        began = time.monotonic()
        _run(commands, environment)
        whole = time.monotonic() - began
        each = corpus.instances // len(corpus.folders)
        return _found([_read(output, each) for output in outputs], each, whole)


def dcmsend() -> str:
    """Its path. Raises NotInstalled."""
    program = shutil.which("dcmsend")
    if program is None:
        raise NotInstalled("DCMTK's dcmsend is not on PATH")
    return program


def dcmtk_version() -> str:
    """As `dcmsend` tells it. Raises NotInstalled."""
    answer = subprocess.run([dcmsend(), "--version"], capture_output=True, text=True, check=True).stdout
    return answer.split()[2]


def _run(commands: Sequence[Sequence[str | Path]], environment: dict[str, str]) -> None:
    processes: list[subprocess.Popen[bytes]] = []
    quiet = subprocess.DEVNULL
    try:
        for command in commands:
            processes.append(subprocess.Popen(command, env=environment, stdin=quiet, stdout=quiet, stderr=quiet))
        deadline = time.monotonic() + TIMEOUT_SECONDS
        for process in processes:
            process.wait(max(0.0, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        raise TimeoutError(f"senders were not done after {TIMEOUT_SECONDS:g} seconds") from None
    finally:
        for process in processes:
            if process.poll() is None:
                process.kill()
                process.wait()


@dataclass(frozen=True, slots=True)
class _One:
    """One sender; times in seconds since the epoch."""

    succeeded: int
    first: float | None
    last: float | None
    latencies: list[float]
    log_end: str


def _read(output: Path, planned: int) -> _One:
    report, log = output.with_suffix(".txt"), output.with_suffix(".log")
    statuses = _STATUS.findall(report.read_text("utf-8", "replace")) if report.exists() else []
    succeeded = statuses.count(_SUCCESS)
    first = last = requested = None
    latencies = []
    text = log.read_text("utf-8", "replace") if log.exists() else "no log"
    for line in text.splitlines():
        stamp, _, message = line.partition(" ")
        if message.startswith("Requesting Association"):
            first = first or float(stamp)
        elif message.startswith("Sending C-STORE Request"):
            requested = float(stamp)
        elif message.startswith("Received C-STORE Response") and requested is not None:
            last = float(stamp)
            latencies.append(last - requested)
    return _One(succeeded, first, last, latencies, text[-1000:] if succeeded < planned else "")


def _found(senders: Sequence[_One], each: int, whole: float) -> Sent:
    firsts = [sender.first for sender in senders if sender.first is not None]
    lasts = [sender.last for sender in senders if sender.last is not None]
    return Sent(
        instances=each * len(senders),
        failures=sum(each - sender.succeeded for sender in senders),
        seconds=max(lasts) - min(firsts) if lasts else whole,
        seconds_of_processes=whole,
        latencies=[latency for sender in senders for latency in sender.latencies],
        complaints=[sender.log_end for sender in senders if sender.log_end],
    )
