"""What ``orthanc-cluster import`` does: fill the ledger, wake the workers, watch, report.

The command is a spectator as soon as the last chunk is in the ledger: it may be interrupted and resumed, and workers
finish the job without it. It reads no DICOM itself.
"""

import os
import time
import uuid
from collections.abc import Iterable, Sequence
from pathlib import Path
from uuid import UUID

from celery import Celery
from rich.console import Console

from cluster import tracing
from cluster.bulk.files import Found, cut, walk, why_unusable
from cluster.bulk.ledger import Job, Ledger, Pace, Progress
from cluster.bulk.report import write_report
from cluster.config import Settings
from cluster.database import Database
from cluster.errors import BrokerUnavailable, ClusterError, ConfigurationError
from workers.import_display import Display, say, table
from workers.tasks.app import make_app
from workers.tasks.messages import Trace, check_broker, dispatch
from workers.traces import traces

EXIT_DONE = 0
EXIT_FAILED = 1
"""A file failed, or the import could not be watched to its end."""
EXIT_USAGE = 2
EXIT_INTERRUPTED = 130

_POLL_SECONDS = 0.2
_AWAY_SECONDS = 1.0
"""How long a broker that did not answer is let alone, at least."""
_RED = "bold red"


def import_files(
    settings: Settings,
    paths: Sequence[Path] = (),
    *,
    resume: UUID | None = None,
    report: Path | None = None,
    pace: Pace | None = None,
    silence_seconds: float = 10.0,
    console: Console | None = None,
) -> int:
    """Import files, folders and ZIP archives through the workers; the exit status of the command.

    The caller has waited until the database is ready.

    Args:
        paths: as the workers see them too, so on shared storage if there are several machines.
        resume: id of a job to go on with, instead of paths.
        report: file for the refused files; without it one named after the job in the current folder, if any is refused.
        silence_seconds: after how long without any sign of a worker to say so.
        console: where to write; stdout by default.
    """
    console = console or Console()
    complaints = _complaints(paths, resume, report)
    for complaint in complaints:
        say(console, f"Cannot import {complaint}", _RED)
    if complaints:
        return EXIT_USAGE
    database = Database(settings.postgresql, time_budget_seconds=settings.cluster.transaction_time_budget_seconds)
    database.open()
    command = _Command(settings, Ledger(database, pace), console, silence_seconds)
    try:
        with traces(settings, "import"), tracing.span("import"):
            return command.run(paths, resume, report)
    except BrokerUnavailable as error:
        say(console, _unreachable(error), _RED)
        return EXIT_FAILED
    except ClusterError as error:
        say(console, f"Import stopped: {error}", _RED)
        return EXIT_FAILED
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    finally:
        command.explain_resume()
        database.close()


def _complaints(paths: Sequence[Path], resume: UUID | None, report: Path | None) -> list[str]:
    """What is wrong with the arguments, looked at before anything is opened or sent."""
    complaints = [f"{path}: {reason}" for path in paths if (reason := why_unusable(path)) is not None]
    if bool(paths) == (resume is not None):
        complaints.append("like this: name either what to import, or a job to resume")
    if report is not None and not complaints:
        try:
            report.touch()
        except OSError as error:
            complaints.append(f"with the report in {report}: {error.strerror or error}")
    return complaints


class _Command:
    """One run of the command."""

    def __init__(self, settings: Settings, ledger: Ledger, console: Console, silence_seconds: float) -> None:
        self._app = make_app(settings, ledger.pace)
        self._ledger = ledger
        self._console = console
        self._silence = _Silence(silence_seconds)
        self._alarm = _Alarm(self._app, ledger)
        self._unfinished: UUID | None = None

    def run(self, paths: Sequence[Path], resume: UUID | None, report: Path | None) -> int:
        """Everything after the arguments were found usable; the exit status."""
        began = time.monotonic()
        self._unfinished = resume
        check_broker(self._app)
        job = self._new(paths) if resume is None else self._resumed(resume)
        if job is None:
            self._unfinished = None
            say(self._console, f"No import has the id {resume}.", _RED)
            return EXIT_USAGE
        self._unfinished = job.job_id
        with Display(self._console) as display:
            self._fill(job, display)
            progress = self._watch(job.job_id, display)
        self._unfinished = None
        self._console.print(table(progress, time.monotonic() - began))
        is_reported = self._report(job.job_id, progress, report)
        if progress.canceled:
            say(self._console, f"Canceled. POST /jobs/{job.job_id}/resubmit goes on with what is left.", _RED)
        return EXIT_DONE if is_reported and not progress.failed and not progress.canceled else EXIT_FAILED

    def explain_resume(self) -> None:
        """How to go on, if the run ended early."""
        if self._unfinished is not None:
            say(
                self._console,
                "Nothing is lost. Workers finish what they have been given; to go on and watch: "
                f"orthanc-cluster import --resume {self._unfinished}",
            )

    def _new(self, paths: Sequence[Path]) -> Job:
        job = Job(uuid.uuid4(), tuple(Path(os.path.abspath(path)) for path in paths), is_walked=False, next_chunk=0)
        self._ledger.create_job(job.job_id, job.paths)
        say(self._console, f"Import {job.job_id}")
        return job

    def _resumed(self, job_id: UUID) -> Job | None:
        job = self._ledger.job(job_id)
        if job is not None:
            self._ledger.forget_messages(job_id)
        return job

    def _fill(self, job: Job, display: Display) -> None:
        """Put every file into a chunk that is not in one yet; workers begin meanwhile."""
        if job.is_walked:
            return
        looked = 0.0
        for number, chunk in enumerate(cut(self._not_yet_listed(job)), start=job.next_chunk):
            if not self._ledger.add_chunk(job.job_id, number, chunk):
                raise ConfigurationError("--resume", "another command is still looking for files of this job")
            if time.monotonic() - looked > _POLL_SECONDS:
                self._look(job.job_id, display, is_walked=False)
                looked = time.monotonic()
        self._ledger.end_walk(job.job_id)

    def _watch(self, job_id: UUID, display: Display) -> Progress:
        """Look until every chunk is done."""
        while True:
            asked = time.monotonic()
            progress = self._look(job_id, display, is_walked=True)
            if progress.canceled or progress.chunks_done == progress.chunks:
                return progress
            # The sums get dearer with the job; watching must not become the load.
            time.sleep(max(_POLL_SECONDS, 5 * (time.monotonic() - asked)))

    def _look(self, job_id: UUID, display: Display, *, is_walked: bool) -> Progress:
        """Show progress and send what needs a message, for the first time or again."""
        progress = self._ledger.progress(job_id)
        display.show(progress, is_walked=is_walked)
        if (news := self._alarm.ring(job_id)) is not None:
            display.say(news)
        if self._silence.is_too_long(progress):
            display.say(
                f"No worker has taken anything for {self._silence.seconds:g} s. "
                "Does one run (orthanc-cluster worker), with the same Cluster.RedisUrl and the same database?"
            )
        return progress

    def _report(self, job_id: UUID, progress: Progress, path: Path | None) -> bool:
        """Write the report if there is something in it, or one was asked for; False if it could not be written."""
        if progress.files == 0:
            say(self._console, "No files were found.")
        if path is None and progress.not_dicom + progress.failed == 0:
            return True
        path = path or Path(f"orthanc-cluster-import-{job_id}.jsonl")
        try:
            with path.open("w", encoding="utf-8") as stream:
                lines = write_report(stream, self._ledger.refusals(job_id))
        except OSError as error:
            say(self._console, f"Cannot write the report {path}: {error.strerror or error}", _RED)
            return False
        say(self._console, f"Refused files and why: {path} ({lines} lines)")
        return True

    def _not_yet_listed(self, job: Job) -> Iterable[Found]:
        found = walk(job.paths)
        if job.next_chunk == 0:
            return found
        listed = set(self._ledger.files(job.job_id))
        return (item for item in found if (item[0] if isinstance(item, tuple) else item.file) not in listed)


class _Alarm:
    """Wakes workers up. A broker that goes away in the middle is waited for: the ledger knows what is to be done."""

    def __init__(self, app: Celery, ledger: Ledger) -> None:
        self._app = app
        self._ledger = ledger
        self._is_away = False
        self._not_before = 0.0

    def ring(self, job_id: UUID) -> str | None:
        """Send what needs a message; what there is to say of the broker, when it goes and when it comes back."""
        began = time.monotonic()
        if began < self._not_before:
            return None
        try:
            if self._is_away:
                # Before anything is sent: a chunk waits twice as long for its next message after each that is lost.
                check_broker(self._app)
            dispatch(self._app, self._ledger, Trace(job_id, tracing.headers()))
        except BrokerUnavailable as error:
            # Who looks for files shall do that, and not wait for a broker most of the time.
            self._not_before = time.monotonic() + max(_AWAY_SECONDS, 5 * (time.monotonic() - began))
            was_away, self._is_away = self._is_away, True
            return None if was_away else f"{_unreachable(error)}. The import goes on when it does."
        was_away, self._is_away = self._is_away, False
        return "The broker answers again." if was_away else None


def _unreachable(error: BrokerUnavailable) -> str:
    return f"The broker does not answer (setting Cluster.RedisUrl): {error}"


class _Silence:
    """Notices that no worker does anything although there is work; once for each such time."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._last_sign = (-1, -1)
        self._since = 0.0
        self._is_told = False

    def is_too_long(self, progress: Progress) -> bool:
        """To be asked with every look."""
        sign = (progress.attempts, progress.chunks_done)
        if sign != self._last_sign or progress.chunks_held or progress.chunks_done == progress.chunks:
            self._last_sign = sign
            self._since = time.monotonic()
            self._is_told = False
        if self._is_told or time.monotonic() - self._since < self.seconds:
            return False
        self._is_told = True
        return True
