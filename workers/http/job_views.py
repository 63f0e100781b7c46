"""Jobs as ``GET /jobs/{id}`` shows them (interop/rest.md 10, enumerations.md for the numbers of errors)."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from cluster.bulk.imports import Import
from cluster.jobs.registry import CANCELED_JOB, Job

_DESCRIPTIONS: Mapping[int, str] = {
    -1: "Internal error",
    0: "Success",
    2: "Not implemented yet",
    15: "Bad file format",
    17: "Unknown resource",
    19: "The file storage is full",
    36: "The database is currently not available (probably a transient situation)",
    CANCELED_JOB: "This job was canceled",
}


def job_view(job: Job) -> dict[str, Any]:
    """A job of Orthanc's kind."""
    view = _view(job.job_id, job.type, job.state, job.progress, job.runtime_seconds, job.created_at, job.now)
    view |= _error(job.error_code, job.error_details)
    view |= {"Priority": job.priority, "Content": dict(job.content)}
    if job.user_data is not None:
        view["UserData"] = job.user_data
    if job.completed_at is not None:
        view["CompletionTime"] = _time(job.completed_at)
    return view


def import_view(found: Import) -> dict[str, Any]:
    """A bulk import."""
    completed = found.completed_at
    runtime = ((completed or found.now) - found.created_at).total_seconds()
    view = _view(found.job_id, "Import", found.state, found.progress, runtime, found.created_at, found.now)
    if found.canceled_at is not None:
        view |= _error(CANCELED_JOB, "")
    elif found.state == "Failure":
        view |= _error(-1, f"{found.failed} of {found.files} files could not be taken in; the report says why")
    else:
        view |= _error(0, "")
    view |= {
        "Priority": 0,
        "Content": {
            "Description": "Bulk import",
            "Paths": found.printable_paths(),
            "IsWalked": found.walked_at is not None,
            "FilesCount": found.files,
            "StoredCount": found.stored,
            "AlreadyStoredCount": found.already_stored,
            "NotDicomCount": found.not_dicom,
            "FailedCount": found.failed,
        },
    }
    if completed is not None:
        view["CompletionTime"] = _time(completed)
    return view


def _view(
    job_id: Any, kind: str, state: str, progress: int, runtime: float, created: datetime, now: datetime
) -> dict[str, Any]:
    view: dict[str, Any] = {
        "ID": str(job_id),
        "Type": kind,
        "State": state,
        "Progress": progress,
        "CreationTime": _time(created),
        "Timestamp": _time(now),
        "EffectiveRuntime": round(max(runtime, 0), 3),
    }
    if state == "Running" and progress > 0:
        left = timedelta(seconds=runtime * (100 - progress) / progress)
        view["EstimatedTimeOfArrival"] = _time(now + left)
    return view


def _error(code: int, details: str) -> dict[str, Any]:
    return {
        "ErrorCode": code,
        "ErrorDescription": _DESCRIPTIONS.get(code, _DESCRIPTIONS[-1]),
        "ErrorDetails": details,
    }


def _time(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y%m%dT%H%M%S.%f")
