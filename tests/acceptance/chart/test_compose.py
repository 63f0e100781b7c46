"""deploy/compose.yaml: known to the Compose specification, its commands ours, its files where they are mounted from."""

import json
import re
import subprocess
from pathlib import Path
from shutil import which

import pytest
import yaml
from compose_spec import PyCompose

from cluster.config import load_settings
from tests.acceptance.chart.rendering import ROOT
from tests.acceptance.chart.test_configuration import understood

DEPLOY = ROOT / "deploy"
TEXT = (DEPLOY / "compose.yaml").read_text("utf-8")
SERVICES = yaml.safe_load(TEXT)["services"]
OURS = {name: it for name, it in SERVICES.items() if it["image"].startswith("orthanc-cluster:")}
NODES = {name: it for name, it in OURS.items() if it["command"][0] == "ingest"}
ALSO = {"postgresql", "redis", "balancer", "prometheus", "grafana", "orthanc"}
CONFIGURATION = json.loads((DEPLOY / "compose" / "orthanc.json").read_text("utf-8"))
GIVEN = {"POSTGRES_PASSWORD": "secret", "REGISTERED_USERS": '{"uploader": "secret"}'}


def test_compose_knows_every_key():
    # Merged and without variables, which stand where the specification wants numbers.
    document = yaml.safe_load(TEXT)
    document = {key: value for key, value in document.items() if not key.startswith("x-")}
    known = PyCompose.from_yaml(re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", yaml.safe_dump(document)))
    assert set(known.service_names()) == set(SERVICES)


def test_compose_would_notice_a_misspelt_key():
    with pytest.raises(ValueError, match="comand"):
        PyCompose.from_yaml("services: {a: {image: a, comand: [a]}}")


def test_what_there_is():
    assert set(SERVICES) == {"ingest-1", "ingest-2", "http", "housekeeping-1", "housekeeping-2", "worker"} | ALSO
    assert SERVICES["orthanc"]["profiles"] == ["orthanc"]
    assert not any("profiles" in it for name, it in SERVICES.items() if name != "orthanc")


@pytest.mark.parametrize("name", OURS)
def test_command_is_ours(name):
    understood(OURS[name]["command"])


def settings_of(service):
    environ = {
        key: re.sub(r"\$\{(\w+):\?\}", lambda it: GIVEN[it[1]], value) for key, value in service["environment"].items()
    }
    return load_settings([DEPLOY / "compose" / "orthanc.json"], environ=environ)


@pytest.mark.parametrize("name", OURS)
def test_settings(name):
    settings = settings_of(OURS[name])
    assert "password='secret'" in settings.postgresql.conninfo()
    assert not settings.postgresql.lock
    assert not settings.cluster.housekeeping
    assert settings.dicom.server_enabled is (name != "http")
    grace = OURS[name]["stop_grace_period"]
    assert int(grace[:-1]) * {"s": 1, "m": 60}[grace[-1]] >= settings.cluster.drain_seconds + 15


def test_tls_is_there_without_the_comment_signs():
    services = yaml.safe_load(TEXT.replace("# tls: ", ""))["services"]
    for name in OURS:
        settings = settings_of(services[name])
        assert settings.http.ssl_enabled
        assert settings.dicom.tls_enabled
        files = (settings.http.ssl_certificate, settings.dicom.tls_certificate, settings.dicom.tls_trusted_certificates)
        [mounted] = [it.split(":")[1] for it in services[name]["volumes"] if it.startswith("./compose/tls:")]
        assert all(file.is_relative_to(mounted) for file in files)
    published = [port for service in services.values() for port in service.get("ports", [])]
    assert not any(port.endswith(f":{CONFIGURATION['Cluster']['ProbePort']}") for port in published)


@pytest.mark.parametrize("name", OURS)
def test_is_as_confined_as_in_kubernetes(name):
    service = OURS[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["init"] is True  # reaps what a killed worker's pool leaves


@pytest.mark.parametrize("name", OURS)
def test_health_looks_at_the_process_only(name):
    check = OURS[name]["healthcheck"]
    assert f":{CONFIGURATION['Cluster']['ProbePort']}/livez" in check["test"][-1]


@pytest.mark.parametrize("name", SERVICES)
def test_mounted_files_are_there(name):
    for volume in SERVICES[name].get("volumes", []):
        source = volume.split(":")[0]
        if source.startswith("."):
            assert (DEPLOY / source).exists()


@pytest.mark.parametrize("name", SERVICES)
def test_no_password_and_no_registry_in_the_file(name):
    assert re.fullmatch(r"[a-z0-9-]+(/[a-z0-9-]+)?:(\$\{\w+:-)?[\w.]+\}?", SERVICES[name]["image"])
    for key, value in SERVICES[name].get("environment", {}).items():
        if re.search(r"PASSWORD|USERS", key):
            assert re.fullmatch(r"\$\{\w+:\?\}", value)


def test_balancer_knows_every_node_and_asks_whether_it_is_ready():
    text = (DEPLOY / "compose" / "haproxy.cfg").read_text("utf-8")
    servers = re.findall(r"^    server (\S+) (\S+):(\d+)$", text, re.M)
    expected = [name for name in NODES if name != "http"]
    assert servers == [(name, name, str(CONFIGURATION["DicomPort"])) for name in expected]
    assert f"check port {CONFIGURATION['Cluster']['ProbePort']} " in text
    assert "http-check send meth GET uri /readyz" in text
    assert SERVICES["balancer"]["ports"] == [f"${{DICOM_PORT:-104}}:{CONFIGURATION['DicomPort']}"]


def test_haproxy_takes_its_configuration():
    haproxy = which("haproxy", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")
    if haproxy is None:
        pytest.skip("no haproxy on this machine")
    command = [haproxy, "-c", "-f", DEPLOY / "compose" / "haproxy.cfg"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr


def test_prometheus_scrapes_every_door_and_reads_the_alerts():
    document = yaml.safe_load((DEPLOY / "compose" / "prometheus.yaml").read_text("utf-8"))
    [job] = document["scrape_configs"]
    assert job["static_configs"] == [{"targets": [f"{name}:{CONFIGURATION['Cluster']['ProbePort']}" for name in OURS]}]
    [folder] = [Path(it).parent for it in document["rule_files"]]
    assert f"../helm/orthanc-cluster/files/alerts:{folder}:ro" in SERVICES["prometheus"]["volumes"]


def test_grafana_finds_dashboards_and_prometheus():
    grafana = DEPLOY / "compose" / "grafana"
    [provider] = yaml.safe_load((grafana / "dashboards.yaml").read_text("utf-8"))["providers"]
    home = Path(SERVICES["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"])
    assert str(home.parent) == provider["options"]["path"]
    assert (ROOT / "helm" / "orthanc-cluster" / "files" / "dashboards" / home.name).exists()
    [source] = yaml.safe_load((grafana / "datasources.yaml").read_text("utf-8"))["datasources"]
    assert source["url"] == "http://prometheus:9090"
