"""What a sender is told: the only place that turns an outcome into a DIMSE or HTTP status (interop/ingest.md 7)."""

from dataclasses import dataclass

from cluster.dicom import status
from cluster.errors import (
    BadDicom,
    MissingIdentifier,
    NodeBusy,
    NotServedHere,
    ReferenceMismatch,
    RevisionConflict,
    StorageFull,
    Transient,
    UnusableIdentifier,
    UnusableQuery,
)

REVISION_CONFLICT = "A bad revision number was provided, which might indicate conflict between multiple writers"


def dimse_status(error: BaseException | None) -> int:
    """The status of a C-STORE response; None stands for stored, or stored already."""
    match error:
        case None:
            return status.SUCCESS
        case ReferenceMismatch():
            return status.DATA_SET_DOES_NOT_MATCH_SOP_CLASS
        case MissingIdentifier() | UnusableIdentifier():
            return status.OUT_OF_RESOURCES  # what Orthanc answers, odd as it reads
        case BadDicom():
            return status.CANNOT_UNDERSTAND
        case _:
            return status.OUT_OF_RESOURCES  # the sender may try again


@dataclass(frozen=True, slots=True)
class HttpError:
    """HTTP status with Orthanc's own error number and name (interop/enumerations.md, "Error body")."""

    status: int
    orthanc_status: int
    orthanc_error: str


def http_error(error: BaseException) -> HttpError:
    """The answer to a request that failed."""
    match error:
        case UnusableIdentifier():
            return HttpError(400, 5, "Bad type for a parameter")
        case BadDicom():
            return HttpError(400, 15, "Bad file format")
        case UnusableQuery():
            return HttpError(400, 8, "Bad request")
        case RevisionConflict():
            return HttpError(409, 43, REVISION_CONFLICT)
        case StorageFull():
            return HttpError(507, 19, "The file storage is full")
        case NotServedHere():
            return HttpError(501, 2, "Not implemented yet")
        case NodeBusy() | Transient():
            return HttpError(503, 36, "The database is currently not available (probably a transient situation)")
        case _:
            return HttpError(500, -1, "Internal error")
