"""What is true of every pod of every scenario."""

import re

import pytest

from tests.acceptance.chart.rendering import (
    SCENARIOS,
    environment,
    find,
    pods,
    scenario,
    secret_files,
    secret_references,
)

PODS = [(f"{name}/{pod.owner}", name, pod) for name in SCENARIOS for pod in pods(scenario(name))]
CONTAINERS = [(f"{title}/{it['name']}", pod, it) for title, _, pod in PODS for it in pod.containers]
TELLS_A_SECRET = re.compile(r"PASSWORD|SECRET|TOKEN|URI$|USERS$|REDIS_URL$")


def of_pods(test):
    return pytest.mark.parametrize("pod", [pod for _, _, pod in PODS], ids=[title for title, _, _ in PODS])(test)


def of_containers(test):
    ids = [title for title, _, _ in CONTAINERS]
    return pytest.mark.parametrize(("pod", "container"), [(p, c) for _, p, c in CONTAINERS], ids=ids)(test)


@of_pods
def test_pod_security_restricted(pod):
    context = pod.spec["securityContext"]
    assert context["runAsNonRoot"] is True
    assert context["runAsUser"] > 0
    assert context["seccompProfile"] == {"type": "RuntimeDefault"}
    assert not {"hostNetwork", "hostPID", "hostIPC", "shareProcessNamespace"} & set(pod.spec)
    for volume in pod.spec.get("volumes", []):
        assert set(volume) - {"name"} <= {"configMap", "emptyDir", "persistentVolumeClaim", "projected"}
        if "projected" in volume:
            assert secret_files(volume)
            assert volume["projected"]["defaultMode"] == 0o440


@of_containers
def test_container_security_restricted(pod, container):
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "runAsNonRoot": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert not any("hostPort" in port for port in container.get("ports", []))


@of_pods
def test_nothing_of_kubernetes_is_handed_to_the_pod(pod):
    assert pod.spec["automountServiceAccountToken"] is False
    assert pod.spec["enableServiceLinks"] is False


@of_containers
def test_resources_are_set(pod, container):
    resources = container["resources"]
    assert {"cpu", "memory"} <= set(resources["requests"])
    assert "memory" in resources["limits"]


@of_containers
def test_image_says_which(pod, container):
    _, _, tag = container["image"].rpartition(":")
    assert tag not in ("", "latest")


@of_containers
def test_no_secret_in_plain_text(pod, container):
    for variable in container.get("env", []):
        assert "valueFrom" in variable or not TELLS_A_SECRET.search(variable["name"]), variable["name"]


@pytest.mark.parametrize("name", SCENARIOS)
def test_secrets_are_only_referred_to(name):
    assert not find(scenario(name), "Secret")
    for config_map in find(scenario(name), "ConfigMap"):
        for text in config_map["data"].values():
            assert not re.search(r"\"(Password|RegisteredUsers|SecretKey|AccessKey)\"|://[^/\s\"]*:[^/\s\"]*@", text)
            assert not re.search(r"password ?=|-----BEGIN", text)


@of_containers
def test_whatever_has_a_door_has_all_probes(pod, container):
    has_door = bool(container.get("ports"))
    assert has_door is not pod.owner.endswith(("-schema-upgrade", "-test-echo", "-test-store"))
    for kind, path in {"startupProbe": "/startupz", "livenessProbe": "/livez", "readinessProbe": "/readyz"}.items():
        if has_door:
            assert container[kind]["httpGet"]["path"] == path
            assert {key: it for key, it in container[kind]["httpGet"].items() if key != "path"} in (
                {"port": "http"},
                {"port": "http", "scheme": "HTTPS"},
                {"port": "probes"},
            )
        else:
            assert kind not in container


@of_containers
def test_who_opens_no_door_has_no_key_of_it(pod, container):
    volumes = {volume["name"]: volume for volume in pod.spec.get("volumes", [])}
    files = secret_files(volumes["certificates"]) if "certificates" in volumes else {}
    keys = {path for path in files if path.endswith("tls.key")}
    assert ("dicom/tls.key" in keys) <= pod.owner.endswith("-ingest")
    assert ("http/tls.key" in keys) <= bool(container.get("ports"))
    assert ("test/tls.key" in keys) <= pod.owner.startswith("Pod/")


@of_containers
def test_a_command_may_write_to_tmp_and_storage_only(pod, container):
    writable = {mount["mountPath"] for mount in container.get("volumeMounts", []) if not mount.get("readOnly")}
    assert writable <= {"/tmp", "/var/lib/orthanc/db"}
    if "env" in container:
        secrets = dict.fromkeys(secret_references(container), "x")
        assert environment(container, secrets, "pod")["HOME"] == "/tmp"


@of_pods
def test_name_of_a_pod_fits_into_the_name_of_a_node(pod):
    kind, _, owner = pod.owner.partition("/")
    suffix = {"Deployment": len("-0123456789-01234"), "Job": len("-01234"), "Pod": 0}[kind]
    assert len(owner) + suffix <= 64
