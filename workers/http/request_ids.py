"""An id for each request: in its answer, in every line that is logged for it, and in its error object."""

import logging
import re
import uuid

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from workers.logs import bind

_LOG = logging.getLogger(__name__)

HEADER = "X-Request-Id"

_SANE = re.compile(r"[A-Za-z0-9._:/+=@-]{1,128}", re.ASCII)
"""What a proxy's id may look like; anything else could forge lines of a log, or fill it."""


class RequestIds:
    """ASGI middleware around everything else: takes the id that a proxy gave, or gives one."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request (ASGI)."""
        given = Headers(scope=scope).get(HEADER, "")
        request_id = given if _SANE.fullmatch(given) else uuid.uuid4().hex

        async def with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)[HEADER] = request_id
            await send(message)

        with bind(request=request_id):
            try:
                await self._app({**scope, "request_id": request_id}, receive, with_id)
            except Exception:
                # Here, as the server's own line would not say which request it was. It closes the connection where an
                # answer is not complete.
                _LOG.exception("%s %s failed", scope["method"], scope["path"])
