"""The chart as Kubernetes would get it: rendered by Helm's own engine, without a cluster."""

import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import helm_python
import yaml

ROOT = Path(__file__).parents[3]
CHART = ROOT / "helm" / "orthanc-cluster"
SCENARIOS = sorted(folder.name for folder in (CHART / "scenarios").iterdir() if folder.is_dir())
RELEASE = "archive"

Manifest = dict[str, Any]


@dataclass(frozen=True)
class Pod:
    """A pod that some object makes, or a bare one."""

    owner: str
    labels: Mapping[str, str]
    spec: Mapping[str, Any]

    @property
    def containers(self) -> list[Mapping[str, Any]]:
        return [*self.spec.get("initContainers", []), *self.spec["containers"]]


def values_of(scenario: str) -> dict[str, Any]:
    return yaml.safe_load((CHART / "scenarios" / scenario / "values.yaml").read_text("utf-8"))


def default_values() -> dict[str, Any]:
    return yaml.safe_load((CHART / "values.yaml").read_text("utf-8"))


def render(values: Mapping[str, Any]) -> list[Manifest]:
    """All manifests, those of hooks too. Raises HelmError for values that the chart refuses."""
    with helm_python.Chart.load(CHART) as chart:
        chart.validate_schema(dict(values))
        files = chart.render(dict(values), name=RELEASE, namespace="dicom")
    return [
        manifest
        for name, text in files.items()
        if not name.endswith("NOTES.txt")
        for manifest in yaml.safe_load_all(text)
        if manifest
    ]


@functools.cache
def scenario(name: str) -> list[Manifest]:
    """Manifests of a scenario; nobody changes them."""
    return render(values_of(name))


def find(manifests: list[Manifest], kind: str, name: str | None = None) -> list[Manifest]:
    return [it for it in manifests if it["kind"] == kind and name in (None, it["metadata"]["name"])]


def pods(manifests: list[Manifest]) -> Iterator[Pod]:
    for manifest in manifests:
        owner = f"{manifest['kind']}/{manifest['metadata']['name']}"
        match manifest["kind"]:
            case "Pod":
                yield Pod(owner, manifest["metadata"]["labels"], manifest["spec"])
            case "Deployment" | "Job":
                template = manifest["spec"]["template"]
                yield Pod(owner, template["metadata"]["labels"], template["spec"])


def environment(container: Mapping[str, Any], secrets: Mapping[tuple[str, str], str], pod_name: str) -> dict[str, str]:
    """What the container's process would find; `secrets` by name and key."""
    found = {}
    for variable in container.get("env", []):
        match variable:
            case {"value": value}:
                found[variable["name"]] = value
            case {"valueFrom": {"secretKeyRef": {"name": name, "key": key}}}:
                found[variable["name"]] = secrets[name, key]
            case {"valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}:
                found[variable["name"]] = pod_name
            case _:
                raise NotImplementedError(variable)
    return found


def secret_references(container: Mapping[str, Any]) -> set[tuple[str, str]]:
    sources = [variable.get("valueFrom", {}).get("secretKeyRef") for variable in container.get("env", [])]
    return {(source["name"], source["key"]) for source in sources if source}


def secret_files(volume: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    """What a projected volume consists of: paths below its mount, and of which Secret and key each is."""
    found = {}
    for source in volume["projected"]["sources"]:
        match source:
            case {"secret": {"name": name, "items": items}} if len(source) == 1:
                for item in items:
                    assert item["path"] not in found
                    found[item["path"]] = (name, item["key"])
            case other:
                raise NotImplementedError(other)
    return found


def argv(container: Mapping[str, Any]) -> list[str]:
    return [*container["command"], *container.get("args", [])]


def look(value: Any, path: str) -> Any:
    """What is at a path such as `spec.ports.dicom.port`, where list items go by number or name; None if nothing is."""
    for step in path.split("."):
        if isinstance(value, list):
            matches = [it for number, it in enumerate(value) if step in (str(number), _name(it))]
            value = matches[0] if matches else None
        elif isinstance(value, dict):
            value = value.get(step)
        else:
            return None
    return value


def _name(item: Any) -> str | None:
    return item.get("name") if isinstance(item, dict) else None
