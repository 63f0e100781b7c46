"""What a worker, or a node that is alone, does with one job: claim it, make what was asked for, say how it ended.

Invariant: what counts is written once, by the attempt that holds the lease, after its output is durable. An attempt
that is stopped, or that dies, leaves at most a file that no row names, which whoever tidies up next removes.
"""

import logging
import os
import time
import uuid
from collections.abc import Callable, Iterable, Iterator

from cluster import tracing
from cluster.config import Settings
from cluster.errors import ClusterError, NodeBusy, Transient, UnknownResource
from cluster.failpoints import failpoint
from cluster.ingest.acknowledge import http_error
from cluster.ingest.intake import Intake
from cluster.jobs.registry import CANCELED_JOB
from cluster.jobs.work import Claim, Ending, JobPace, LeaseLost, Wish, Work
from cluster.storage.job_outputs import JobOutputs
from workers.archives.kinds import Wanted, entries
from workers.archives.zip_stream import ZipEntry, zip_stream

_LOG = logging.getLogger(__name__)

_INTERNAL_ERROR, _NOT_IMPLEMENTED, _UNKNOWN_RESOURCE = -1, 2, 17
"""Orthanc's numbers (interop/enumerations.md)."""


class _Stopped(Exception):
    """Somebody wants the attempt to stop."""

    def __init__(self, wish: Wish) -> None:
        super().__init__(wish)
        self.wish = wish


class JobWorker:
    """The jobs as one worker process sees them."""

    def __init__(
        self,
        settings: Settings,
        open_intake: Callable[[], Intake],
        pace: JobPace | None = None,
        is_ending: Callable[[], bool] = lambda: False,
    ) -> None:
        """
        Args:
            open_intake: the index and the storage area of this process.
            is_ending: whether a job in hand shall be given back.
        """
        self._settings = settings
        self._open_intake = open_intake
        self._pace = pace or JobPace()
        self._is_ending = is_ending
        self._outputs = JobOutputs(settings.storage_directory, sync=settings.sync_storage_area)

    def work(self) -> bool:
        """Do the job that matters most, if there is one that is nobody's; whether there was."""
        intake = self._open_intake()
        work = Work(intake.database, self._pace)
        claim = work.claim(f"{self._settings.cluster.node_name}/{os.getpid()}/{uuid.uuid4()}")
        if claim is None:
            return False
        failpoint("job_claimed")
        attributes: dict[str, tracing.Value] = {
            "orthanc_cluster.job": str(claim.job_id),
            "orthanc_cluster.attempt": claim.attempt,
        }
        try:
            with tracing.span(f"job {claim.type}", attributes, caller=claim.task.get("trace") or None) as span:
                ending = self._attempt(intake, work, claim)
                span.set("orthanc_cluster.state", ending.state)
            work.end(claim, ending)
            failpoint("job_ended")
            _LOG.info("attempt %d of job %s: %s %s", claim.attempt, claim.job_id, ending.state, ending.error_details)
        except LeaseLost:
            _LOG.warning("attempt %d of job %s took longer than its lease", claim.attempt, claim.job_id)
        except Transient as error:
            _LOG.warning("attempt %d of job %s will be followed by another: %s", claim.attempt, claim.job_id, error)
        return True

    def due(self) -> int:
        """How many jobs wait for a worker."""
        return Work(self._open_intake().database, self._pace).due()

    def tidy(self) -> None:
        """Forget what is beyond JobsHistorySize and MediaArchiveSize, and remove files that no job has."""
        work = Work(self._open_intake().database, self._pace)
        work.forget_oldest(self._settings.jobs_history_size, self._settings.media_archive_size)
        self._outputs.collect(work.live_outputs)

    def _attempt(self, intake: Intake, work: Work, claim: Claim) -> Ending:
        try:
            if claim.type not in ("Archive", "Media"):
                return Ending("Failure", _NOT_IMPLEMENTED, f"jobs of type {claim.type} are unknown to this version")
            return _Archiving(intake, work, claim, self._outputs, self._is_ending).do()
        except _Stopped as stopped:
            return Ending("Paused") if stopped.wish == "pause" else Ending("Failure", CANCELED_JOB)
        except LeaseLost:
            raise
        except Transient as error:
            return Ending("Retry", error_details=str(error))
        except ClusterError as error:
            is_unknown = isinstance(error, UnknownResource)
            return Ending("Failure", _UNKNOWN_RESOURCE if is_unknown else http_error(error).orthanc_status, str(error))
        except Exception as error:
            _LOG.exception("job %s failed for a reason nobody foresaw", claim.job_id)
            return Ending("Failure", _INTERNAL_ERROR, f"unexpected {type(error).__name__}: {error}")


class _Archiving:
    """One attempt at a ZIP archive."""

    def __init__(
        self, intake: Intake, work: Work, claim: Claim, outputs: JobOutputs, is_ending: Callable[[], bool]
    ) -> None:
        self._intake = intake
        self._work = work
        self._claim = claim
        self._outputs = outputs
        self._wanted = Wanted.from_json(claim.task["archive"])
        self._expected = max(int(claim.task["files"]), 1)
        self._is_ending = is_ending
        self._files = 0
        self._kept = 0.0

    def do(self) -> Ending:
        """Make the file; raises _Stopped, LeaseLost and what `entries` does."""
        size = 0
        self._keep()
        with self._outputs.create(self._claim.output) as output:
            files = entries(self._intake.database, self._intake.storage, self._wanted)
            for piece in zip_stream(self._counted(files)):
                output.write(piece)
                size += len(piece)
            self._kept = 0.0
            self._keep()  # the last moment to stop it
        failpoint("job_output_durable")
        return Ending(
            "Success",
            content={"ArchiveSize": str(size), "ArchiveSizeMB": size >> 20},
            output=self._claim.output,
            output_bytes=size,
        )

    def _counted(self, files: Iterable[ZipEntry]) -> Iterator[ZipEntry]:
        for path, size, content in files:
            yield path, size, self._watched(content)
            self._files += 1
            failpoint("job_file_added")
            self._keep()

    def _watched(self, content: Iterable[bytes]) -> Iterator[bytes]:
        for piece in content:
            self._keep()
            yield piece

    def _keep(self) -> None:
        if time.monotonic() - self._kept < self._work.pace.keep_seconds:
            return
        if self._is_ending():
            raise NodeBusy("its worker ends; another one begins anew")
        wish = self._work.keep(self._claim, min(99, self._files * 100 // self._expected))
        self._kept = time.monotonic()
        if wish is not None:
            raise _Stopped(wish)
