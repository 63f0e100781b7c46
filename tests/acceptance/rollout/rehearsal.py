"""A release of the chart on this machine: its ingest pods behind a balancer, its workers, and who sends to them.

What is not rehearsed: the API server, the scheduler, network policies, resource limits, and the HTTP Deployment, which
is the ingest pod without its DICOM door.
"""

import copy
import http.client
import json
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

from cluster.config import Settings
from tests.acceptance.chart.rendering import RELEASE, Manifest, find, render
from tests.acceptance.rollout.deployment import Controller
from tests.acceptance.rollout.endpoints import LAG_SECONDS, Endpoints
from tests.acceptance.rollout.haproxy import HAProxy
from tests.acceptance.rollout.machine import Machine
from tests.acceptance.rollout.manifests import Deployment
from tests.acceptance.rollout.pod import Pod
from tests.acceptance.rollout.senders import Senders
from tests.support.settings import settings_for

VALUES: dict[str, Any] = {
    "postgresql": {"existingSecret": "archive-postgresql", "keys": {"uri": "uri"}},
    "redis": {"existingSecret": "archive-redis"},
    "http": {"authentication": {"existingSecret": "archive-users"}},
    "upgrade": {"expectedMinutes": 10},
    # Of real time, as nothing in the program but DrainSeconds is scaled; the default of 5 is for real clusters.
    "orthanc": {"PostgreSQL": {"ConnectionRetryInterval": 1}},
}
IMAGE, EARLIER_IMAGE = "orthanc-cluster:this", "orthanc-cluster:earlier"
"""Image references; the first is this checkout."""
PROGRAMS = Path(sys.executable).parent
UNKNOWN_TO_EARLIER = ("Housekeeping", "LogFormat")


class Rehearsal:
    """Context manager: a balancer and no pods; `install` makes them.

    Attributes:
        ingest, workers: the controllers of two Deployments.
    """

    def __init__(
        self,
        folder: Path,
        haproxy: Path,
        database_uri: str,
        *,
        scale: float,
        redis_url: str = "redis://127.0.0.1:1/0",
        earlier: Path | None = None,
    ) -> None:
        """
        Args:
            scale: what Kubernetes' seconds are multiplied by.
            earlier: the programs of an earlier version.
        """
        secrets = {
            ("archive-postgresql", "uri"): database_uri,
            ("archive-redis", "url"): redis_url,
            ("archive-users", "users.json"): '{"uploader": "secret"}',
        }
        images = {IMAGE: PROGRAMS} | ({EARLIER_IMAGE: earlier} if earlier else {})
        self.scale = scale
        self.folder = folder
        self.machine = Machine(folder, secrets, images, scale)
        self.machine.storage.mkdir()
        self.settings: Settings = settings_for(database_uri, self.machine.storage, DicomAet="ORTHANC")
        self.balancer = HAProxy(haproxy, folder)
        self.ingest = Controller(self.machine)
        self.workers = Controller(self.machine)
        self._endpoints = Endpoints(self.balancer, "dicom", lambda: self.ingest.pods, LAG_SECONDS * scale)
        self._values = merged(VALUES, {"image": {"tag": "this"}})
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        for part in (self.balancer, self._endpoints, self.ingest, self.workers):
            self._stack.enter_context(part)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def install(self, *, with_workers: bool = False, **changes: Any) -> None:
        """`helm upgrade --install` with values over those of earlier calls; wait for `is_complete` yourself."""
        self._values = merged(self._values, changes)
        manifests = render(self._values)
        if self._values["image"]["tag"] == "earlier":
            _as_earlier_chart(manifests)
        self.ingest.apply(self._deployment(manifests, "ingest"), manifests)
        if with_workers:
            self.workers.apply(self._deployment(manifests, "worker"), manifests)

    def senders(self, count: int) -> Senders:
        """Senders through the balancer."""
        return Senders(self.balancer.port, self.settings, self.folder, count)

    def restart(self, reason: str) -> None:
        """`kubectl rollout restart`: all ingest pods are replaced by new ones of the same kind."""
        self.install(ingest={"podAnnotations": {"kubectl.kubernetes.io/restartedAt": reason}})

    def _deployment(self, manifests: list[Manifest], component: str) -> Deployment:
        [manifest] = find(manifests, "Deployment", f"{RELEASE}-orthanc-cluster-{component}")
        return Deployment.read(manifest, self.scale)


def _as_earlier_chart(manifests: list[Manifest]) -> None:
    """Take away what the chart of the earlier version would not say: its nodes refuse options that they do not know."""
    for manifest in find(manifests, "ConfigMap"):
        for name, text in manifest["data"].items():
            if name.endswith(".json") and "Cluster" in (document := json.loads(text)):
                for option in UNKNOWN_TO_EARLIER:
                    document["Cluster"].pop(option, None)
                manifest["data"][name] = json.dumps(document)


def stored_by(pod: Pod) -> int:
    """How many C-STOREs a pod has answered with success; 0 for one that is not there any more."""
    wanted = 'orthanc_cluster_dimse_responses_total{service="C-STORE",status="0x0000"}'
    lines = _get(pod, "/metrics").splitlines()
    return sum(int(float(line.split()[-1])) for line in lines if line.startswith(wanted))


def reason(pod: Pod) -> str:
    """Why a pod says that it is not ready; empty if it is, or says nothing."""
    text = _get(pod, "/readyz")
    return str(json.loads(text).get("reason", "")) if text else ""


def _get(pod: Pod, path: str) -> str:
    connection = http.client.HTTPConnection("127.0.0.1", pod.ports["http"], timeout=20)
    try:
        connection.request("GET", path)
        return connection.getresponse().read().decode()
    except (OSError, http.client.HTTPException):
        return ""
    finally:
        connection.close()


def merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """As Helm merges values."""
    both = copy.deepcopy(dict(below))
    for key, value in above.items():
        old = both.get(key)
        both[key] = merged(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return both
