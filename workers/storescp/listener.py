"""The listening socket of one process, and the threads behind it."""

import contextlib
import logging
import os
import selectors
import socket
import ssl
import threading
import time
from collections.abc import Callable

from cluster.config import Settings
from cluster.errors import ConfigurationError
from workers.storescp.admission import Admission
from workers.storescp.association import Association
from workers.storescp.c_store import Intake
from workers.storescp.policy import Policy
from workers.tls import dicom_server_context
from workers.upper_layer.pdu import DEFAULT_MAXIMUM_LENGTH

log = logging.getLogger(__name__)

_BACKLOG = 128
_STRANGERS = 32
"""Connections beyond the maximum that are listened to, so that they get an A-ASSOCIATE-RJ and no bare hang-up."""

_STRANGERS_PER_PEER = 4
"""The same beyond MaximumAssociationsPerPeer."""

_STOP_SECONDS = 3.0
_ACCEPT_PAUSE_SECONDS = 0.1


class StoreScp:
    """Listens on DicomPort and serves each connection in a thread of its own.

    Several processes of one user may listen on the same port: the kernel spreads the connections (SO_REUSEPORT).
    While `ready()` is false every association is refused for the moment. `maximum_pdu_length` (bytes) is what we
    announce.
    """

    def __init__(
        self,
        settings: Settings,
        intake: Intake,
        ready: Callable[[], bool],
        *,
        maximum_pdu_length: int = DEFAULT_MAXIMUM_LENGTH,
    ) -> None:
        self._settings = settings
        self._intake = intake
        self._policy = Policy.from_settings(settings, maximum_pdu_length)
        self._tls: ssl.SSLContext | None = None
        per_peer = settings.cluster.maximum_associations_per_peer
        self._admission = Admission(settings.cluster.maximum_associations, ready, per_peer)
        self._maximum_per_peer = per_peer + _STRANGERS_PER_PEER if per_peer else None
        self._maximum_connections = settings.cluster.maximum_associations + _STRANGERS
        self._served: set[Association] = set()
        self._change = threading.Condition()
        self._listener: socket.socket | None = None
        self._waker: socket.socket | None = None
        self._acceptor: threading.Thread | None = None
        self._port = settings.dicom.port

    @property
    def port(self) -> int:
        """The TCP port."""
        return self._port

    @property
    def associations(self) -> int:
        """Number of associations that are established."""
        return self._admission.associations

    def start(self) -> None:
        """Listen and begin to serve; raises ConfigurationError if port or certificates cannot be had."""
        self._tls = dicom_server_context(self._settings.dicom)
        self._listener = _listen(self._settings.dicom.port)
        self._port = self._listener.getsockname()[1]
        wake, self._waker = socket.socketpair()
        self._acceptor = threading.Thread(
            target=self._accept, args=(self._listener, wake), name="dicom-acceptor", daemon=True
        )
        self._acceptor.start()
        log.info(
            "DICOM server listening with AET %s on port %d%s",
            self._policy.aet,
            self._port,
            " over TLS" if self._tls else "",
        )

    def drain(self, seconds: float) -> bool:
        """Accept nobody any more, let every peer finish its current object and release; True if all have gone.

        A peer that is idle is asked for release at once. Takes at most `seconds`.
        """
        deadline = time.monotonic() + seconds
        self._close_listener()
        with self._change:
            for association in self._served:
                association.drain()
        return self._wait_until_gone(deadline)

    def stop(self) -> None:
        """End everything that is left within seconds: A-ABORT where possible, else the connection is cut."""
        self._close_listener()
        with self._change:
            for association in self._served:
                association.stop()
        if self._wait_until_gone(time.monotonic() + _STOP_SECONDS / 2):
            return
        with self._change:
            for association in self._served:
                association.disconnect()
        if not self._wait_until_gone(time.monotonic() + _STOP_SECONDS / 2):
            log.warning("%d associations still wait for their instance to be stored", len(self._served))

    def _wait_until_gone(self, deadline: float) -> bool:
        with self._change:
            return self._change.wait_for(lambda: not self._served, max(0.0, deadline - time.monotonic()))

    def _close_listener(self) -> None:
        self._admission.close()
        if self._waker is not None and self._acceptor is not None:
            self._waker.close()
            self._waker = None
            self._acceptor.join()

    def _accept(self, listener: socket.socket, wake: socket.socket) -> None:
        """Accept until the other end of `wake` is closed; what is in the backlog then gets its rejection."""
        with listener, wake, selectors.DefaultSelector() as selector:
            selector.register(listener, selectors.EVENT_READ)
            selector.register(wake, selectors.EVENT_READ)
            closing = False
            while not closing:
                closing = any(key.fileobj is wake for key, _ in selector.select())
                while self._accept_one(listener):
                    pass

    def _accept_one(self, listener: socket.socket) -> bool:
        try:
            connection, address = listener.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return False
        except OSError as error:  # out of descriptors or memory: neither a reason to die nor to spin
            log.error("cannot accept a connection: %s", error.strerror)
            time.sleep(_ACCEPT_PAUSE_SECONDS)
            return False
        try:
            self._serve(connection, address[0].removeprefix("::ffff:"))
        except Exception:
            connection.close()
            log.exception("cannot serve a connection from %s", address[0])
        return True

    def _serve(self, connection: socket.socket, peer_ip: str) -> None:
        if len(self._served) >= self._maximum_connections:
            log.warning("connection from %s closed: %d are open", peer_ip, len(self._served))
            connection.close()
            return
        if self._maximum_per_peer is not None and self._connections_of(peer_ip) >= self._maximum_per_peer:
            log.warning("connection from %s closed: it has %d already", peer_ip, self._maximum_per_peer)
            connection.close()
            return
        association = Association(connection, peer_ip, self._policy, self._admission, self._intake, self._tls)
        thread = threading.Thread(target=self._run, args=(association,), name=f"dicom-{peer_ip}", daemon=True)
        with self._change:
            self._served.add(association)
        try:
            thread.start()
        except RuntimeError:
            self._forget(association)
            raise

    def _connections_of(self, peer_ip: str) -> int:
        with self._change:
            return sum(association.peer_ip == peer_ip for association in self._served)

    def _run(self, association: Association) -> None:
        try:
            association.run()
        finally:
            self._forget(association)

    def _forget(self, association: Association) -> None:
        with self._change:
            self._served.discard(association)
            self._change.notify_all()


def _listen(port: int) -> socket.socket:
    """Return a listening, non-blocking socket on all addresses of IPv4 and, where there is one, IPv6."""
    dual_stack = socket.has_dualstack_ipv6()
    family = socket.AF_INET6 if dual_stack else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if dual_stack:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        listener.bind(("", port))
        listener.listen(_BACKLOG)
        listener.setblocking(False)
    except OSError as error:
        with contextlib.suppress(OSError):
            listener.close()
        reason = f"cannot listen on port {port}: {os.strerror(error.errno or 0)}"
        raise ConfigurationError("DicomPort", reason) from error
    return listener
