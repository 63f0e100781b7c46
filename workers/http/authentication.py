"""HTTP Basic authentication (RFC 7617) and what else concerns every request."""

import base64
import binascii
import hmac
import logging
from collections.abc import Collection

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from cluster.config.http import HttpSettings

_LOG = logging.getLogger(__name__)

OPEN_PATHS = frozenset({"/startupz", "/livez", "/readyz", "/metrics"})
"""Reached without a password, because probes and scrapers have none; they change nothing and name no patient."""

_CHALLENGE = {"WWW-Authenticate": 'Basic realm="Orthanc Secure Area", charset="UTF-8"'}


class Doorkeeper:
    """ASGI middleware: normalises the path, refuses HEAD as Orthanc does, and asks who is there."""

    def __init__(self, app: ASGIApp, settings: HttpSettings, read_only_users: Collection[str]) -> None:
        self._app = app
        self._read_only_users = frozenset(read_only_users)
        self._required = settings.authentication_enabled
        self._users = {
            name.encode(): password.get_secret_value().encode() for name, password in settings.registered_users.items()
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request (ASGI)."""
        path = "/" + scope["path"].strip("/")
        scope = {**scope, "path": path, "http_username": "", "http_read_only": False}
        if path not in OPEN_PATHS:
            refusal = self._refusal(scope)
            if refusal is not None:
                await refusal(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _refusal(self, scope: Scope) -> Response | None:
        if self._required:
            name = self._authenticated(Headers(scope=scope).get("authorization", ""))
            if name is None:
                self._log_failure(scope)
                return Response(status_code=401, headers=_CHALLENGE)
            scope["http_username"] = name
            scope["http_read_only"] = name in self._read_only_users
        # PostgreSQL has no text with NUL, so nothing has such a name.
        return Response(status_code=404) if scope["method"] == "HEAD" or "\0" in scope["path"] else None

    @staticmethod
    def _log_failure(scope: Scope) -> None:
        """Without the name: people do type a password where it belongs."""
        client = scope.get("client")
        if Headers(scope=scope).get("authorization"):
            _LOG.warning("HTTP authentication of a caller at %s failed", client[0] if client else "an unknown address")

    def _authenticated(self, header: str) -> str | None:
        scheme, _, encoded = header.partition(" ")
        if scheme.lower() != "basic":
            return None
        try:
            name, _, password = base64.b64decode(encoded.strip(), validate=True).partition(b":")
            text = name.decode()
        except (binascii.Error, ValueError):
            return None
        # All users are compared in full, so that the time taken tells neither a name nor part of a password.
        known = False
        for user, expected in self._users.items():
            known |= hmac.compare_digest(user, name) & hmac.compare_digest(expected, password)
        return text if known else None
