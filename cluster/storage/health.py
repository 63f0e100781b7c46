"""Whether a storage area takes attachments now, as far as this process has seen.

A failure is known at once, to whoever asks whether this node is ready. Only a probe that stores as much as was refused
takes it back: a full medium has room for something small nearly always, and would be left and entered for ever.
"""

import threading

PROBE_BYTES = 1 << 20
"""What has to fit at least; a medium with less room than that is full."""

PROBE_BYTES_LIMIT = 1 << 30
"""What has to fit at most, however large the attachment was that did not."""


class Health:
    """Thread-safe."""

    def __init__(self, reason: str | None = None) -> None:
        """`reason` holds until the first probe has succeeded."""
        self._lock = threading.Lock()
        self._reason = reason
        self._wanted_bytes = PROBE_BYTES

    @property
    def reason(self) -> str | None:
        """Why nothing can be stored; None if nothing speaks against it."""
        return self._reason

    @property
    def wanted_bytes(self) -> int:
        """How much a probe has to find room for."""
        return self._wanted_bytes

    def failed(self, reason: str, size: int = 0) -> None:
        """An attachment of which `size` bytes were known could not be stored; the fault is the medium's."""
        with self._lock:
            self._reason = reason
            self._wanted_bytes = min(max(self._wanted_bytes, size), PROBE_BYTES_LIMIT)

    def recovered(self) -> None:
        """`wanted_bytes` could be stored."""
        with self._lock:
            self._reason = None
            self._wanted_bytes = PROBE_BYTES
