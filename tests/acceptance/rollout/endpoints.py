"""The endpoints of a Service: ready pods, which the balancer learns of some time later."""

import threading
import time
from collections.abc import Callable, Iterable
from typing import Self

from tests.acceptance.rollout.haproxy import HAProxy
from tests.acceptance.rollout.pod import Pod

_LOOK_SECONDS = 0.02

LAG_SECONDS = 2
"""Of cluster time, from a pod's readiness, or its deletion, to the last balancer that knows. A pod that is deleted gets
new connections for so long: this is what preStop is for."""


class Endpoints:
    """Keeps the balancer's places in line with the pods. Context manager."""

    def __init__(self, balancer: HAProxy, port: str, pods: Callable[[], Iterable[Pod]], lag: float) -> None:
        self._balancer = balancer
        self._port = port
        self._pods = pods
        self._lag = lag
        self._since: dict[str, tuple[bool, float]] = {}
        self._applied: set[str] = set()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="endpoints", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopped.wait(_LOOK_SECONDS):
            for pod in list(self._pods()):
                self._look_at(pod)

    def _look_at(self, pod: Pod) -> None:
        now = time.monotonic()
        ready = pod.ready
        before = self._since.get(pod.name, (False, now))
        if ready != before[0]:
            self._since[pod.name] = before = (ready, now)
        if ready == (pod.name in self._applied) or now - before[1] < self._lag:
            return
        if ready:
            self._balancer.add(pod.name, pod.ports[self._port])
            self._applied.add(pod.name)
        else:
            self._balancer.remove(pod.name)
            self._applied.remove(pod.name)
