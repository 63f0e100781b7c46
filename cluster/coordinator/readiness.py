"""Whether a process may receive, and who is told of it: the part of a gate that is the same for every index."""

import threading
from collections.abc import Callable

from cluster import telemetry


class Readiness:
    """Not ready at first; readable from any thread."""

    def __init__(self, on_change: Callable[[bool], None]) -> None:
        self._on_change = on_change
        self._reason: str | None = "starting"
        self._has_been_ready = False
        self._stopped = threading.Event()

    @property
    def reason(self) -> str | None:
        """Why this process is not ready; None when it is."""
        return self._reason

    @property
    def is_ready(self) -> bool:
        """Whether instances may be received now."""
        return self._reason is None

    @property
    def has_been_ready(self) -> bool:
        """Whether start-up is over: this process was ready once."""
        return self._has_been_ready

    def _tell_world(self, reason: str | None) -> None:
        self._reason = reason
        self._has_been_ready = self._has_been_ready or reason is None
        telemetry.ready.set(reason is None)
        self._on_change(reason is None)
