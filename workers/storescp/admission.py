"""How many associations there may be, and when there may be none."""

import threading
from collections.abc import Callable

from cluster import telemetry
from workers.storescp.policy import Refusal
from workers.upper_layer import pdu


class Admission:
    """Counts the associations of this process.

    Above `maximum`, while the node is not ready or once it drains, a request is refused for the moment (local limit
    exceeded), so that a sender tries again: with SO_REUSEPORT or a load balancer it may well reach another process.
    """

    def __init__(self, maximum: int, ready: Callable[[], bool]) -> None:
        self._maximum = maximum
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

    def enter(self) -> Refusal | None:
        """Count one association more and return None, or return why not; the caller owes a `leave`."""
        if not self._ready():
            return Refusal(pdu.LOCAL_LIMIT_EXCEEDED, "not_ready")
        with self._lock:
            if self._closed:
                return Refusal(pdu.LOCAL_LIMIT_EXCEEDED, "draining")
            if self._associations >= self._maximum:
                return Refusal(pdu.LOCAL_LIMIT_EXCEEDED, "maximum_associations")
            self._associations += 1
        telemetry.associations.inc()
        return None

    def leave(self) -> None:
        """Take back one `enter`."""
        with self._lock:
            self._associations -= 1
        telemetry.associations.dec()
