"""A process that no sender knows: its gate, its probes, and its end.

The door with the probes opens first, so that a kubelet gets an answer while the process waits for an upgrade.
"""

import contextlib
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

from cluster.config import Settings
from cluster.coordinator.gate import Gate
from workers.http.health import Health, health_server, probe_server
from workers.http.server import AsgiServer
from workers.termination import on_termination


class Backstage:
    """Context manager: probes are answered inside the block.

    SIGTERM and SIGINT set `stopped` and end every wait at the gate.
    """

    def __init__(
        self,
        settings: Settings,
        role: str,
        metrics: Callable[[], bytes],
        hindrance: Callable[[], str | None] = lambda: None,
    ) -> None:
        """
        Args:
            role: for the list of nodes.
            hindrance: why the process cannot work although the database is ready; from memory.
        """
        self.stopped = threading.Event()
        self.gate = Gate(settings, role=role)
        self._doors: list[AsgiServer] = []
        for wanted, server in (
            (settings.http.server_enabled, health_server),
            (settings.cluster.probe_port > 0, probe_server),
        ):
            if wanted:
                health = Health(lambda: self.gate.reason or hindrance(), self._has_started, metrics)
                self._doors.append(server(settings, health))
        self._on_stop: list[Callable[[], None]] = [self.stopped.set, self.gate.stop]

    def on_stop(self, stop: Callable[[], None]) -> None:
        """Have this called too at SIGTERM; at once if that has come already."""
        self._on_stop.append(stop)
        if self.stopped.is_set():
            stop()

    def wait_until_ready(self) -> bool:
        """As `Gate.wait_until_ready`; from then on the gate is watched."""
        if not self.gate.wait_until_ready():
            return False
        threading.Thread(target=self.gate.keep_watch, name="gate", daemon=True).start()
        return True

    def __enter__(self) -> Self:
        on_termination(self._stop)
        for door in self._doors:
            door.start()
        return self

    def forget_in_child(self) -> None:
        """Let go of the ports in a process that was forked meanwhile, and that may outlive this one."""
        for door in self._doors:
            door.forget_in_child()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.gate.stop()
        with contextlib.closing(self.gate):
            for door in self._doors:
                door.stop()

    def _stop(self) -> None:
        for stop in self._on_stop:
            stop()

    def _has_started(self) -> bool:
        return self.gate.has_been_ready
