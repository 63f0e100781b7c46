"""The HTTP server of one process: uvicorn in a thread, on a socket that several processes may share."""

import asyncio
import functools
import logging
import math
import socket
import ssl
import threading
from collections.abc import Callable

import uvicorn
from starlette.types import ASGIApp

from cluster.config import HttpSettings, Settings
from cluster.database import Database
from cluster.errors import ConfigurationError
from cluster.index.changes import changes_since
from cluster.ingest.intake import Intake
from cluster.storage.area import StorageArea
from workers.http.application import application
from workers.http.change_feed import ChangeFeed
from workers.http.protocol import LimitedProtocol
from workers.http.services import Services, Wakes
from workers.tasks.waker import Waker
from workers.tls import http_server_context

_LOG = logging.getLogger(__name__)

KEEP_ALIVE_SECONDS = 65
"""Longer than the idle time of common load balancers, so that it is they who close."""

BACKLOG = 512


class AsgiServer:
    """An application on a port, in a thread of this process; start it after fork."""

    def __init__(
        self,
        app: ASGIApp,
        settings: HttpSettings,
        *,
        on_drain: Callable[[], None] = lambda: None,
        on_close: Callable[[], None] = lambda: None,
        shared: bool = True,
        tls: Callable[[], ssl.SSLContext | None] = lambda: None,
    ) -> None:
        """
        Args:
            on_drain: called when no new requests are wanted.
            on_close: called when nothing is answered any more.
            shared: whether other processes may listen on the same port.
            tls: makes the context of the server, or None for plain HTTP; called at the start.
        """
        self.app = app
        """The application."""
        self._settings = settings
        self._on_drain = on_drain
        self._on_close = on_close
        self._shared = shared
        self._make_tls = tls
        self._sockets: list[socket.socket] = []
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None
        self.port = 0
        """The port in use, also where the configured one is 0."""

    def start(self) -> None:
        """Bind and serve; returns when requests are accepted.

        Raises:
            ConfigurationError: the port or the certificate cannot be had.
        """
        tls = self._make_tls()
        self._listen()
        config = uvicorn.Config(
            self.app,
            interface="asgi3",
            http=LimitedProtocol,
            loop="asyncio",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            # Whoever connects could write these headers; the address in the index is the one we see.
            proxy_headers=False,
            server_header=False,
            backlog=BACKLOG,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            ssl_context_factory=(lambda config, default: tls) if tls else None,
        )
        self._server = _Server(config)
        self._thread = threading.Thread(target=self._serve, name="http", daemon=True)
        self._thread.start()
        self._server.running_or_failed.wait()
        if not self._server.started:
            raise RuntimeError("the HTTP server did not start; the log says why")
        for listener in self._sockets:
            _LOG.info("HTTP server listens on %s:%d%s", *listener.getsockname()[:2], " over TLS" if tls else "")

    def _listen(self) -> None:
        """Bind all addresses, on the same port also where the configured one is 0."""
        everywhere = "0.0.0.0" if self._settings.remote_access_allowed else "127.0.0.1"  # noqa: S104
        self.port = self._settings.port
        for host in self._settings.bind_addresses or (everywhere,):
            self._sockets.append(_bind(host, self.port, self._shared))
            self.port = self._sockets[-1].getsockname()[1]

    def _close_sockets(self) -> None:
        for listener in self._sockets:
            listener.close()

    def drain(self, seconds: float) -> None:
        """Refuse new connections and requests, and wait up to `seconds` until the others are answered."""
        if self._server is None or self._thread is None:
            return
        self._on_drain()
        self._server.config.timeout_graceful_shutdown = math.ceil(max(seconds, 0))
        self._server.should_exit = True
        # Cancelled requests get a moment to let go of what they hold.
        self._thread.join(seconds + 2)

    def stop(self) -> None:
        """Drop what is not answered within a second, and let go of port and threads."""
        self.drain(1)
        self._on_close()
        self._close_sockets()

    def forget_in_child(self) -> None:
        """Let go of the port in a process that was forked meanwhile, and that may outlive this one."""
        self._close_sockets()

    def _serve(self) -> None:
        assert self._server is not None
        try:
            self._server.run(sockets=self._sockets)
        finally:
            self._server.running_or_failed.set()


class HttpServer(AsgiServer):
    """The HTTP door of an ingest node."""

    def __init__(
        self,
        settings: Settings,
        intake: Intake,
        database: Database,
        storage: StorageArea,
        readiness: Callable[[], str | None],
        metrics: Callable[[], bytes],
        started: Callable[[], bool] = lambda: True,
        reset: Callable[[], None] = lambda: None,
        waker: Wakes | None = None,
    ) -> None:
        """
        Args:
            readiness: None if this node is ready, else the reason; must answer at once, from memory.
            started: whether this node was ready once; likewise.
            reset: asks for this node to begin anew; must return at once.
            metrics: all metrics in Prometheus' text format; may block.
            waker: who hears of new jobs; else workers do, by way of the broker.
        """
        feed = ChangeFeed(functools.partial(changes_since, database))
        services = Services(
            settings, intake, database, storage, readiness, metrics, started, feed, reset, waker or Waker(settings)
        )
        super().__init__(
            application(services),
            settings.http,
            on_drain=feed.end,
            on_close=services.close,
            tls=functools.partial(http_server_context, settings.http),
        )


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.running_or_failed = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        # The first turn of the main loop fills in the Date header.
        asyncio.get_running_loop().call_soon(self.running_or_failed.set)


def _bind(host: str, port: int, shared: bool) -> socket.socket:
    # asyncio switches Nagle's algorithm off only where the protocol is named: without it each answer, written in two
    # parts, waits 40 ms for the client's delayed ACK.
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if family == socket.AF_INET6:
            # Also where 0.0.0.0 is among the addresses.
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise ConfigurationError("HttpPort", f"cannot listen on {host}:{port}: {error.strerror}") from error
    return listener
