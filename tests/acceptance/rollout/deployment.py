"""A Deployment's controller: as many pods of the wished template as wished, replaced step by step.

What Kubernetes does, in its order: a rolling update never has more than replicas + maxSurge pods that are not
being deleted, and deletes an old one only while more than replicas - maxUnavailable are available, which a pod is once
it has been ready for minReadySeconds. Pods that were never ready go first, then the youngest.
"""

import threading
from typing import Self

from tests.acceptance.chart.rendering import Manifest
from tests.acceptance.rollout.machine import Machine
from tests.acceptance.rollout.manifests import Deployment
from tests.acceptance.rollout.pod import Pod
from workers.local.children import wait_until

_LOOK_SECONDS = 0.1


class Controller:
    """Owns the pods of one Deployment. Context manager: without pods after it.

    Attributes:
        pods: all that there ever were, the oldest first.
        most: the largest number of pods, those being deleted left out, that there were at a time.
        fewest_available: the smallest number of available ones since `watch_availability`.
    """

    def __init__(self, machine: Machine) -> None:
        self.pods: list[Pod] = []
        self.most = 0
        self.fewest_available: int | None = None
        self._machine = machine
        self._wish: Deployment | None = None
        self._manifests: list[Manifest] = []
        self._lock = threading.Lock()
        self._look = threading.Event()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="deployment", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._look.set()
        self._thread.join()
        for pod in self.pods:
            pod.delete()
        for pod in self.pods:
            if not pod.join(pod.template.grace + pod.template.pre_stop + 30):
                pod.kill()

    def apply(self, deployment: Deployment, manifests: list[Manifest]) -> None:
        """Wish for something else; `manifests` hold the ConfigMaps of new pods."""
        with self._lock:
            self._wish, self._manifests = deployment, manifests
        self._look.set()

    @property
    def wish(self) -> Deployment:
        assert self._wish is not None
        return self._wish

    @property
    def live(self) -> list[Pod]:
        """Pods that nobody has deleted."""
        return [pod for pod in self.pods if not pod.leaving.is_set()]

    @property
    def available(self) -> list[Pod]:
        return [pod for pod in self.live if pod.ready and pod.ready_for >= self.wish.min_ready]

    @property
    def restarts(self) -> list[str]:
        """Why containers were started again, of all pods."""
        return [f"{pod.name}: {why}" for pod in self.pods for why in pod.restarts]

    @property
    def is_complete(self) -> bool:
        """Whether there is what was wished for and nothing else, and it is available."""
        wish = self.wish
        alive = [pod for pod in self.pods if not pod.gone]
        wanted = all(pod.template.fingerprint == wish.template.fingerprint for pod in alive)
        return wanted and len(alive) == len(self.available) == wish.replicas

    def wait_until_complete(self) -> None:
        """Until the rollout is over; fails after its deadline, with all that happened."""
        done = wait_until(lambda: self.is_complete, self.wish.deadline)
        assert done, f"the rollout did not get to its end\n{self._machine.history()}"

    def watch_availability(self) -> None:
        """From now on, for `fewest_available`."""
        self.fewest_available = len(self.available)

    def _run(self) -> None:
        while not self._stopped.is_set():
            self._look.clear()
            with self._lock:
                if self._wish is not None:
                    self._reconcile(self._wish)
            self._look.wait(_LOOK_SECONDS)

    def _reconcile(self, wish: Deployment) -> None:
        live = self.live
        if self.fewest_available is not None:
            self.fewest_available = min(self.fewest_available, len(self.available))
        new = [pod for pod in live if pod.template.fingerprint == wish.template.fingerprint]
        old = [pod for pod in live if pod not in new]
        room = wish.replicas + wish.max_surge - len(live)
        for _ in range(min(room, wish.replicas - len(new))):
            self._start(wish)
        for pod in _first_to_go(new)[: max(0, len(new) - wish.replicas)]:
            pod.delete()
        self.most = max(self.most, len(self.live))
        self._replace(wish, new, old)

    def _replace(self, wish: Deployment, new: list[Pod], old: list[Pod]) -> None:
        """Delete as many old pods as may be missed."""
        available = self.available
        waited_for = sum(pod not in available for pod in new)
        spare = len(self.live) - (wish.replicas - wish.max_unavailable) - waited_for
        for pod in _first_to_go(old):
            is_available = pod in available
            if spare <= 0 or (is_available and len(available) <= wish.replicas - wish.max_unavailable):
                return
            pod.delete()
            spare -= 1
            if is_available:
                available.remove(pod)

    def _start(self, wish: Deployment) -> None:
        prefix = f"{wish.name}-{wish.template.fingerprint}"
        self.pods.append(Pod(prefix, wish.template, self._manifests, self._machine, self._look.set))


def _first_to_go(pods: list[Pod]) -> list[Pod]:
    return sorted(pods, key=lambda pod: (pod.ready, pod.ready_for))
