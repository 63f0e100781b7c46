"""What a caller may do who was let in, decided where the route is known: by its path template and method.

Whatever is not known to be a question counts as a change, so that a new route is closed until somebody opens it here.
"""

from urllib.parse import urlsplit

from starlette.requests import Request

from workers.http.errors import FORBIDDEN, Refusal

QUESTIONS = frozenset({"/tools/find", "/tools/count-resources", "/tools/lookup", "/tools/bulk-content"})
"""Paths whose POST changes nothing."""

_SAFE_METHODS = frozenset({"GET", "HEAD"})
_OWN_SITE = frozenset({"same-origin", "none"})


def check(request: Request, path: str) -> None:
    """Raise Refusal (403) for a change by a read-only user, or one that another site's page makes a browser ask for.

    `path` is the route's. A browser sends the password that it knows for this host with every form that any page
    submits here, and needs no password where none is asked for; programs send neither of the two headers.
    """
    if request.method in _SAFE_METHODS:
        return
    if request.scope["http_read_only"] and not (request.method == "POST" and path in QUESTIONS):
        raise Refusal(FORBIDDEN, "this user may read and search only (Cluster.ReadOnlyUsers)")
    if _from_another_site(request):
        raise Refusal(FORBIDDEN, "a page of another site may not change anything here")


def _from_another_site(request: Request) -> bool:
    """By Fetch Metadata where the browser sends it, else by Origin (RFC 6454)."""
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site not in _OWN_SITE
    origin = request.headers.get("origin")
    if origin is None:
        return False
    try:
        return urlsplit(origin).netloc.lower() != request.headers.get("host", "").lower()
    except ValueError:
        return True
