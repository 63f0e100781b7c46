"""Probes of one container, as a kubelet runs them: each at its own pace, a new connection each time.

The start-up probe goes first; until it has passed once, the others do not run. Liveness and start-up say that the
container has to end when they failed as often in a row as they may; readiness is told each time that it changes.
"""

import http.client
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from typing import Self

from tests.acceptance.rollout.manifests import Probe

_JOIN_SECONDS = 30.0


def ask(probe: Probe, port: int) -> bool:
    """One request; whether the answer is a success, within the probe's time."""
    connection = _connection(probe, port)
    began = time.monotonic()
    try:
        connection.request("GET", probe.path, headers={"User-Agent": "kube-probe/rehearsal", "Connection": "close"})
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
    return 200 <= status < 400 and time.monotonic() - began <= probe.timeout


def _connection(probe: Probe, port: int) -> http.client.HTTPConnection:
    if not probe.tls:
        return http.client.HTTPConnection("127.0.0.1", port, timeout=probe.timeout)
    # A kubelet checks no certificate and shows none.
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return http.client.HTTPSConnection("127.0.0.1", port, timeout=probe.timeout, context=context)


class Probing:
    """Runs the probes of one container from its start to `stop`. Context manager.

    Attributes:
        fault: why the container has to be ended; None while it has not.
        passes, failures: of each kind, for figures.
    """

    def __init__(self, probes: Mapping[str, Probe], ports: Mapping[str, int], on_ready: Callable[[bool], None]) -> None:
        self._probes = probes
        self._ports = ports
        self._on_ready = on_ready
        self._started = threading.Event()
        self._stopped = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(kind,), name=kind, daemon=True) for kind in probes]
        self.fault: str | None = None

    def __enter__(self) -> Self:
        if "startupProbe" not in self._probes:
            self._begin()
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """No probe any more, and no news of readiness."""
        self._stopped.set()
        for thread in self._threads:
            thread.join(_JOIN_SECONDS)

    def _begin(self) -> None:
        self._started.set()
        if "readinessProbe" not in self._probes:
            self._on_ready(True)

    def _run(self, kind: str) -> None:
        probe = self._probes[kind]
        failures = 0
        pause = probe.delay
        while not self._stopped.wait(pause):
            pause = probe.period
            if not self._started.is_set() and kind != "startupProbe":
                # Looked at often, because a kubelet asks for readiness as soon as the start-up is over.
                pause = min(pause, 0.05)
                continue
            began = time.monotonic()
            passed = ask(probe, self._ports[probe.port])
            if self._stopped.is_set():
                return
            failures = 0 if passed else failures + 1
            if self._judge(kind, passed, failures >= probe.failures):
                return
            pause = max(0.0, probe.period - (time.monotonic() - began))

    def _judge(self, kind: str, passed: bool, is_final: bool) -> bool:
        """Do what follows from an answer; whether this probe is over."""
        match kind:
            case "startupProbe" if passed:
                self._begin()
                return True
            case "readinessProbe" if passed or is_final:
                self._on_ready(passed)
            case "startupProbe" | "livenessProbe" if is_final:
                self.fault = f"{kind} failed {self._probes[kind].failures} times in a row"
                return True
        return False
