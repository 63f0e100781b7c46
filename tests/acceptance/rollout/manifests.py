"""What a kubelet and a Deployment's controller have to know of a rendered Deployment.

Times are those of the rehearsal: Kubernetes' seconds times one factor, the same for every period, time-out, grace and
pause, so that what is shorter than something else stays so. A field that the rehearsal would have to obey and does not
know is refused: a rehearsal of something else than the chart proves nothing.
"""

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tests.acceptance.chart.rendering import Manifest

_POD_FIELDS = {
    *("automountServiceAccountToken", "containers", "enableServiceLinks", "imagePullSecrets"),
    *("securityContext", "serviceAccountName", "shareProcessNamespace", "terminationGracePeriodSeconds"),
    *("topologySpreadConstraints", "volumes", "nodeSelector", "tolerations", "affinity", "priorityClassName"),
    "restartPolicy",  # of the pods of `helm test`, which run once
}
_CONTAINER_FIELDS = {
    *("name", "image", "imagePullPolicy", "securityContext", "command", "args", "env", "ports", "resources"),
    *("startupProbe", "livenessProbe", "readinessProbe", "lifecycle", "volumeMounts"),
}
_PROBE_FIELDS = {"httpGet", "periodSeconds", "timeoutSeconds", "failureThreshold", "initialDelaySeconds"}


@dataclass(frozen=True, slots=True)
class Probe:
    """An HTTP GET, and when it counts; Kubernetes' defaults where the manifest says nothing."""

    path: str
    port: str
    period: float
    timeout: float
    failures: int
    delay: float
    tls: bool = False

    @property
    def budget(self) -> float:
        """How long it may go on failing."""
        return self.period * self.failures

    @classmethod
    def read(cls, probe: Mapping[str, Any], scale: float) -> "Probe":
        _known(probe, _PROBE_FIELDS, "probe")
        request = probe["httpGet"]
        _known(request, {"path", "port", "scheme"}, "httpGet")
        return cls(
            path=request["path"],
            port=request["port"],
            period=probe.get("periodSeconds", 10) * scale,
            timeout=probe.get("timeoutSeconds", 1) * scale,
            failures=probe.get("failureThreshold", 3),
            delay=probe.get("initialDelaySeconds", 0) * scale,
            tls=request.get("scheme", "HTTP") == "HTTPS",
        )


@dataclass(frozen=True)
class Template:
    """A pod of one container. `spec` is the manifest's own; two templates with one `fingerprint` are the same."""

    spec: Mapping[str, Any]
    container: Mapping[str, Any]
    labels: Mapping[str, str]
    fingerprint: str
    probes: Mapping[str, Probe]
    pre_stop: float
    grace: float

    @classmethod
    def read(cls, template: Manifest, scale: float) -> "Template":
        spec = template["spec"]
        _known(spec, _POD_FIELDS, "pod")
        [container] = spec["containers"]
        _known(container, _CONTAINER_FIELDS, "container")
        kinds = ("startupProbe", "livenessProbe", "readinessProbe")
        return cls(
            spec=spec,
            container=container,
            labels=template["metadata"]["labels"],
            fingerprint=hashlib.sha256(json.dumps(template, sort_keys=True).encode()).hexdigest()[:10],
            probes={kind: Probe.read(container[kind], scale) for kind in kinds if kind in container},
            pre_stop=_pre_stop(container.get("lifecycle", {})) * scale,
            grace=spec.get("terminationGracePeriodSeconds", 30) * scale,
        )

    @property
    def ports(self) -> Mapping[str, int]:
        """Names and numbers of the container's ports."""
        return {port["name"]: port["containerPort"] for port in self.container.get("ports", [])}


@dataclass(frozen=True)
class Deployment:
    """The wish of whoever applies the manifest."""

    name: str
    replicas: int
    max_surge: int
    max_unavailable: int
    min_ready: float
    deadline: float
    """How long a rollout may take without getting on."""
    template: Template

    @classmethod
    def read(cls, manifest: Manifest, scale: float, replicas: int | None = None) -> "Deployment":
        """`replicas` stands for what an autoscaler says, and wins."""
        spec = manifest["spec"]
        assert spec["strategy"]["type"] == "RollingUpdate"
        rolling = spec["strategy"]["rollingUpdate"]
        number = spec["replicas"] if replicas is None else replicas
        return cls(
            name=manifest["metadata"]["name"],
            replicas=number,
            max_surge=_share(rolling["maxSurge"], number, math.ceil),
            max_unavailable=_share(rolling["maxUnavailable"], number, math.floor),
            min_ready=spec.get("minReadySeconds", 0) * scale,
            deadline=spec.get("progressDeadlineSeconds", 600) * scale,
            template=Template.read(spec["template"], scale),
        )


def _pre_stop(lifecycle: Mapping[str, Any]) -> float:
    if not lifecycle:
        return 0.0
    _known(lifecycle, {"preStop"}, "lifecycle")
    match lifecycle["preStop"]:
        case {"exec": {"command": ["sleep", seconds]}}:
            return float(seconds)
        case other:
            raise NotImplementedError(f"preStop {other}")


def _share(value: int | str, replicas: int, rounded: Any) -> int:
    if isinstance(value, int):
        return value
    return int(rounded(int(value.removesuffix("%")) * replicas / 100))


def _known(found: Mapping[str, Any], known: set[str], what: str) -> None:
    unknown = set(found) - known
    if unknown:
        raise NotImplementedError(f"{what}: {', '.join(sorted(unknown))}")
