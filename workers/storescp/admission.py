"""How many associations there may be, and when there may be none."""

import threading
from collections import Counter
from collections.abc import Callable

from cluster import telemetry
from workers.storescp.policy import Refusal
from workers.upper_layer import pdu


class Admission:
    """Counts the associations of this process.

    Above `maximum`, or `maximum_per_peer` (0 = no limit) of one address, while the node is not ready or once it drains,
    a request is refused for the moment (local limit exceeded), so that a sender tries again: with SO_REUSEPORT or a
    load balancer it may well reach another process.
    """

    def __init__(self, maximum: int, ready: Callable[[], bool], maximum_per_peer: int = 0) -> None:
        self._maximum = maximum
        self._maximum_per_peer = maximum_per_peer
        self._by_peer: Counter[str] = Counter()
        self._ready = ready
        self._lock = threading.Lock()
        self._associations = 0
        self._closed = False

    @property
    def associations(self) -> int:
        """Number of associations that are established."""
        return self._associations

    def close(self) -> None:
        """Admit nobody from now on."""
        self._closed = True

    def enter(self, peer_ip: str) -> Refusal | None:
        """Count one association more and return None, or return why not; the caller owes a `leave`."""
        if not self._ready():
            return Refusal(pdu.LOCAL_LIMIT_EXCEEDED, "not_ready")
        with self._lock:
            if self._closed:
                return Refusal(pdu.LOCAL_LIMIT_EXCEEDED, "draining")
            if self._associations >= self._maximum:
                return Refusal(pdu.LOCAL_LIMIT_EXCEEDED, "maximum_associations")
            if self._maximum_per_peer and self._by_peer[peer_ip] >= self._maximum_per_peer:
                return Refusal(pdu.LOCAL_LIMIT_EXCEEDED, "maximum_associations_per_peer")
            self._associations += 1
            self._by_peer[peer_ip] += 1
        telemetry.associations.inc()
        return None

    def leave(self, peer_ip: str) -> None:
        """Take back one `enter`."""
        with self._lock:
            self._associations -= 1
            self._by_peer[peer_ip] -= 1
            if not self._by_peer[peer_ip]:
                del self._by_peer[peer_ip]
        telemetry.associations.dec()
