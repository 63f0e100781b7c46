"""Orthanc's errors as HTTP answers (interop/enumerations.md, "Error body of the REST API")."""

import logging
from http import HTTPStatus

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from cluster.errors import ClusterError, UnknownResource
from cluster.ingest.acknowledge import HttpError, http_error
from workers.http.answers import orthanc_json

_LOG = logging.getLogger(__name__)

PARAMETER_OUT_OF_RANGE = HttpError(400, 3, "Parameter out of range")
BAD_REQUEST = HttpError(400, 8, "Bad request")
BAD_FILE_FORMAT = HttpError(400, 15, "Bad file format")
UNKNOWN_DICOM_TAG = HttpError(400, 27, "Unknown DICOM tag")
BAD_JSON = HttpError(400, 28, "Cannot parse a JSON document")
FORBIDDEN = HttpError(403, 45, "Access to a resource is forbidden")
UNKNOWN_RESOURCE = HttpError(404, 17, "Unknown resource")
TIMEOUT = HttpError(408, 16, "Timeout")
TOO_LARGE = HttpError(413, 8, "Bad request")
UNSUPPORTED_MEDIA_TYPE = HttpError(415, 8, "Bad request")
BAD_RANGE = HttpError(416, 41, "Bad range request")
INTERNAL_ERROR = HttpError(500, -1, "Internal error")
NOT_IMPLEMENTED = HttpError(501, 2, "Not implemented yet")

RETRY_AFTER_SECONDS = "2"


class Refusal(Exception):
    """A request that is not answered as it was asked; `details` say why, for the person who reads them."""

    def __init__(self, error: HttpError, details: str) -> None:
        super().__init__(details)
        self.error = error
        self.details = details


def error_answer(request: Request, error: HttpError, details: str = "") -> Response:
    """The error object, which Orthanc sends as text/plain."""
    body = {
        "HttpError": HTTPStatus(error.status).phrase,
        "HttpStatus": error.status,
        "Message": error.orthanc_error,
        "Method": request.method,
        "OrthancError": error.orthanc_error,
        "OrthancStatus": error.orthanc_status,
        "RequestId": request.scope["request_id"],
        "Uri": request.url.path,
    }
    if details:
        body["Details"] = details
    headers = {"Retry-After": RETRY_AFTER_SECONDS} if error.status == HTTPStatus.SERVICE_UNAVAILABLE else {}
    return Response(orthanc_json(body) + "\n", error.status, headers, "text/plain")


def on_refusal(request: Request, error: Exception) -> Response:
    """Handler of Refusal."""
    assert isinstance(error, Refusal)
    return error_answer(request, error.error, error.details)


def on_cluster_error(request: Request, error: Exception) -> Response:
    """Handler of everything that the archive raises on purpose."""
    assert isinstance(error, ClusterError)
    meaning = UNKNOWN_RESOURCE if isinstance(error, UnknownResource) else http_error(error)
    level = logging.WARNING if meaning.status >= HTTPStatus.INTERNAL_SERVER_ERROR else logging.INFO
    _LOG.log(level, "%s %s: %s (%s)", request.method, request.url.path, error, type(error).__name__)
    return error_answer(request, meaning, str(error))


def on_disconnect(request: Request, error: Exception) -> Response:
    """Handler of ClientDisconnect: nobody is there to read the answer."""
    assert isinstance(error, ClientDisconnect)
    _LOG.info("%s %s: the client went away", request.method, request.url.path)
    return Response(status_code=HTTPStatus.BAD_REQUEST)


def on_unexpected(request: Request, error: Exception) -> Response:
    """Handler of everything else, which is logged with its trace by the server."""
    return error_answer(request, INTERNAL_ERROR)


def on_http_exception(request: Request, error: Exception) -> Response:
    """Handler of Starlette's own: no such route, or a method that HTTP does not know."""
    if isinstance(error, HTTPException) and error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        return Response(status_code=error.status_code, headers=error.headers)
    return error_answer(request, UNKNOWN_RESOURCE)
