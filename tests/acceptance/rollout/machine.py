"""What the machines of a cluster give to a pod: programs of its image, Secrets, volumes, an address.

* An image is a folder of programs, which comes first on PATH; the container's `command` is found there.
* A mount path means a folder of this machine: where it stands in `args`, in `env` or in a ConfigMap, that is replaced.
  A PersistentVolumeClaim is one folder for all pods, an emptyDir one of the pod, a Secret's key a file of mode 0440.
* Each pod has the manifest's ports under other numbers, told by ORTHANC__DICOM_PORT and its like. Addresses
  of its own (127.0.0.x) would not do: a node listens on all addresses, and with SO_REUSEPORT, so that two of them on
  one port would not even notice each other.
* DrainSeconds is scaled like the grace that the chart computes from it.
"""

import json
import os
import re
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.acceptance.chart.rendering import Manifest, argv, environment, find, secret_files
from tests.acceptance.rollout.manifests import Template
from workers.local.ports import free_ports
from workers.local.processes import ManagedProcess

PORT_VARIABLES = {
    "dicom": "ORTHANC__DICOM_PORT",
    "http": "ORTHANC__HTTP_PORT",
    "probes": "ORTHANC__CLUSTER__PROBE_PORT",
}


@dataclass(frozen=True, slots=True)
class Event:
    """What happened to a pod; `at` is of the monotonic clock."""

    at: float
    pod: str
    what: str


@dataclass
class Machine:
    """Where pods run. `secrets` are values by name and key, `images` folders of programs by image reference."""

    folder: Path
    secrets: Mapping[tuple[str, str], str]
    images: Mapping[str, Path]
    scale: float
    events: list[Event] = field(default_factory=list)
    _ports: set[int] = field(default_factory=set)
    _numbers: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def storage(self) -> Path:
        """The folder behind every PersistentVolumeClaim."""
        return self.folder / "claim"

    def tell(self, pod: str, what: str) -> None:
        with self._lock:
            self.events.append(Event(time.monotonic(), pod, what))

    def history(self) -> str:
        """All events, for whoever reads a failed test."""
        with self._lock:
            if not self.events:
                return ""
            began = self.events[0].at
            return "\n".join(f"{event.at - began:7.2f} s {event.pod}: {event.what}" for event in self.events)

    def name(self, prefix: str) -> str:
        """A name that no other pod has."""
        with self._lock:
            self._numbers += 1
            return f"{prefix}-{self._numbers}"

    def ports(self, names: Mapping[str, int]) -> dict[str, int]:
        """Numbers that no other pod of this machine gets."""
        with self._lock:
            chosen = [port for port in free_ports(len(names) + 50) if port not in self._ports][: len(names)]
            self._ports.update(chosen)
            return dict(zip(names, chosen, strict=True))

    def process(
        self, name: str, template: Template, manifests: list[Manifest], ports: Mapping[str, int]
    ) -> ManagedProcess:
        """The container of a pod, not started yet; `manifests` hold its ConfigMaps."""
        container = template.container
        mounts = self._mounts(name, template, manifests)
        found = environment(container, self.secrets, name)
        found = {key: _mounted(value, mounts) for key, value in found.items()}
        found |= {PORT_VARIABLES[port]: str(number) for port, number in ports.items()}
        found["PATH"] = os.pathsep.join((str(self.images[container["image"]]), os.defpath))
        command = [_mounted(word, mounts) for word in argv(container)]
        program = self.images[container["image"]] / command[0]
        return ManagedProcess(name, [program, *command[1:]], log_path=self.folder / f"{name}.log", env=found)

    def _mounts(self, name: str, template: Template, manifests: list[Manifest]) -> dict[str, Path]:
        volumes = {volume["name"]: volume for volume in template.spec.get("volumes", [])}
        mounts: dict[str, Path] = {}
        configurations: list[tuple[Path, Mapping[str, str]]] = []
        secrets: list[tuple[Path, Mapping[str, tuple[str, str]], int]] = []
        for mount in template.container.get("volumeMounts", []):
            folder = self.folder / name / mount["name"]
            match volumes[mount["name"]]:
                case {"configMap": {"name": config_map}}:
                    [found] = find(manifests, "ConfigMap", config_map)
                    configurations.append((folder, found["data"]))
                case {"projected": {"defaultMode": mode}} as volume:
                    secrets.append((folder, secret_files(volume), mode))
                case {"persistentVolumeClaim": {"claimName": _}}:
                    folder = self.storage
                case {"emptyDir": _}:
                    pass
                case other:
                    raise NotImplementedError(f"volume {other}")
            folder.mkdir(parents=True, exist_ok=True)
            mounts[mount["mountPath"]] = folder
        for folder, files, mode in secrets:
            for file, key in files.items():
                (folder / file).parent.mkdir(parents=True, exist_ok=True)
                (folder / file).write_text(self.secrets[key], "utf-8")
                (folder / file).chmod(mode)
        for folder, data in configurations:
            for file, text in data.items():
                (folder / file).write_text(self._configuration(text, mounts), "utf-8")
        return mounts

    def _configuration(self, text: str, mounts: Mapping[str, Path]) -> str:
        document: dict[str, Any] = json.loads(_mounted(text, mounts))
        cluster = document["Cluster"]
        cluster["DrainSeconds"] = max(1, round(cluster["DrainSeconds"] * self.scale))
        return json.dumps(document, indent=2)


def _mounted(text: str, mounts: Mapping[str, Path]) -> str:
    """Paths of the container as those of this machine, wherever they stand; everything else as it is."""
    ways = "|".join(map(re.escape, sorted(mounts, key=len, reverse=True)))
    return re.sub(rf"(?<![\w./-])({ways})(?![\w.-])", lambda it: str(mounts[it[1]]), text) if ways else text
