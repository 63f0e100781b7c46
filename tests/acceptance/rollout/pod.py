"""One pod: its container is started, probed, ended and started again, until the pod has to go."""

import os
import signal
import threading
import time
from collections.abc import Callable

from tests.acceptance.chart.rendering import Manifest
from tests.acceptance.rollout.machine import Machine
from tests.acceptance.rollout.manifests import Template
from tests.acceptance.rollout.probing import Probing
from workers.local.children import wait_until

_POLL_SECONDS = 0.05
_BACK_OFF_SECONDS, _LONGEST_BACK_OFF_SECONDS = 10, 300
"""A kubelet's, of cluster time: the first new start is at once."""


class Pod:
    """A pod on this machine; starts at once.

    Attributes:
        leaving: it has been deleted, and counts for nothing any more.
        restarts: why each container was started again.
        exit_status: of the last container; -9 where the grace was not enough or it was killed.
    """

    def __init__(
        self, prefix: str, template: Template, manifests: list[Manifest], machine: Machine, changed: Callable[[], None]
    ) -> None:
        self.name = machine.name(prefix)
        self.template = template
        self.leaving = threading.Event()
        self.restarts: list[str] = []
        self.exit_status: int | None = None
        self.ports = machine.ports(template.ports)
        self._machine = machine
        self._changed = changed
        self._ready_since: float | None = None
        self._process = machine.process(self.name, template, manifests, self.ports)
        self._thread = threading.Thread(target=self._live, name=self.name, daemon=True)
        self._thread.start()

    @property
    def ready(self) -> bool:
        """Whether it may get traffic: its readiness probe says so, and nobody wants it to go."""
        return self._ready_since is not None and not self.leaving.is_set()

    @property
    def ready_for(self) -> float:
        """Seconds since it turned ready; 0 if it is not."""
        since = self._ready_since
        return time.monotonic() - since if since is not None and not self.leaving.is_set() else 0.0

    @property
    def gone(self) -> bool:
        return not self._thread.is_alive()

    @property
    def pid(self) -> int | None:
        return self._process.pid

    @property
    def log(self) -> str:
        path = self._process.log_path
        return path.read_text("utf-8", "replace") if path.exists() else ""

    def delete(self) -> None:
        """Let it go: no traffic, preStop, SIGTERM, its grace, SIGKILL. Returns at once."""
        if not self.leaving.is_set():
            self._machine.tell(self.name, "deleted")
            self.leaving.set()
            self._changed()

    def kill(self) -> None:
        """What a failing machine, or an impatient autohealing, does: SIGKILL to everything, and the pod is deleted."""
        self._machine.tell(self.name, "killed")
        self.leaving.set()
        self._process.kill()
        self._changed()

    def freeze(self) -> None:
        """SIGSTOP: it has its port and its connections, and does nothing."""
        assert self.pid is not None
        self._machine.tell(self.name, "SIGSTOP")
        os.kill(self.pid, signal.SIGSTOP)

    def join(self, seconds: float) -> bool:
        self._thread.join(seconds)
        return self.gone

    def _live(self) -> None:
        while not self.leaving.is_set():
            self._process.start()
            self._machine.tell(self.name, f"started, pid {self.pid}")
            why = self._serve()
            self._set_ready(False)
            self._end_container()
            if self.leaving.is_set():
                break
            self.restarts.append(why)
            self._machine.tell(self.name, f"restart: {why}")
            self.leaving.wait(self._back_off())
        self.exit_status = self._process.returncode
        self._machine.tell(self.name, f"gone: {self._process.describe_end()}")
        self._changed()

    def _serve(self) -> str:
        """From a container's start until it has to end, or has; returns why."""
        with Probing(self.template.probes, self.ports, self._set_ready) as probing:
            while not self.leaving.wait(_POLL_SECONDS):
                if not self._process.running:
                    return self._process.describe_end()
                if probing.fault is not None:
                    return probing.fault
        return "deleted"

    def _end_container(self) -> None:
        """The whole grace is for preStop, SIGTERM and the end; then SIGKILL."""
        deadline = time.monotonic() + self.template.grace
        wait_until(lambda: not self._process.running, min(self.template.pre_stop, self.template.grace))
        if self._process.running:
            self._machine.tell(self.name, "SIGTERM")
            self._process.terminate(max(0.0, deadline - time.monotonic()))

    def _back_off(self) -> float:
        number = len(self.restarts)
        seconds = 0 if number <= 1 else min(_LONGEST_BACK_OFF_SECONDS, _BACK_OFF_SECONDS * 2 ** (number - 2))
        return seconds * self._machine.scale

    def _set_ready(self, ready: bool) -> None:
        if ready == (self._ready_since is not None):
            return
        self._ready_since = time.monotonic() if ready else None
        self._machine.tell(self.name, "ready" if ready else "not ready")
        self._changed()
