"""ETag, If-Match and If-None-Match of metadata and attachments (interop/revisions.md 2, 3)."""

import re

from starlette.requests import Request
from starlette.responses import Response

from cluster.index.revisions import Precondition, Version
from workers.http.errors import PARAMETER_OUT_OF_RANGE, Refusal
from workers.http.services import Services

_NUMBER = re.compile(r"-?[0-9]{1,18}", re.ASCII)


def etag(version: Version) -> dict[str, str]:
    """The header that names a version."""
    return {"ETag": f'"{version.revision}-{version.md5}"'}


def precondition_of(services: Services, request: Request) -> Precondition:
    """From If-Match and the option CheckRevisions.

    Raises:
        Refusal: 400, the header is no ETag of ours.
    """
    is_required = services.settings.check_revisions
    if "if-match" not in request.headers:
        return Precondition(None, is_required)
    revision, separator, md5 = _unquoted(request.headers["if-match"]).partition("-")
    if not separator or not _NUMBER.fullmatch(revision):
        raise Refusal(PARAMETER_OUT_OF_RANGE, 'If-Match must be an ETag, as in "0-d41d8cd98f00b204e9800998ecf8427e"')
    return Precondition(Version(int(revision), md5), is_required)


def not_modified(request: Request, version: Version) -> Response | None:
    """304 if the client has this version already."""
    headers = etag(version)
    if _unquoted(request.headers.get("if-none-match", "")) != _unquoted(headers["ETag"]):
        return None
    return Response(status_code=304, headers=headers)


def _unquoted(text: str) -> str:
    return text.strip().strip('"')
