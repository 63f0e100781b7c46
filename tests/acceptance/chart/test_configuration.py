"""The program takes what the chart gives it: configuration, environment, mounted Secrets, command lines."""

import json
import re
from pathlib import Path

import click
import pytest

from cluster.config import load_settings
from cluster.errors import ConfigurationError
from tests.acceptance.chart.rendering import (
    SCENARIOS,
    argv,
    environment,
    find,
    pods,
    render,
    scenario,
    secret_files,
    secret_references,
    values_of,
)
from tests.support.certificates import Authority
from workers import cli
from workers.tls import dicom_server_context, http_server_context

SECRETS = {
    "password": "a\"b\\c'd$e",
    "uri": "postgresql://orthanc:secret@archive-rw:5432/orthanc",
    "username": "app",
    "url": "redis://:secret@redis:6379/0",
    "redis-url": "redis://:secret@redis:6379/0",
    "pooler-uri": "postgresql://orthanc:secret@pooler:5432/orthanc",
    "users.json": '{"uploader": "secret", "viewer": "secret"}',
    "readonly.json": '["viewer"]',
    "ACCESS_KEY_ID": "key-of-the-bucket",
    "ACCESS_SECRET_KEY": "secret-of-the-bucket",
}
CERTIFICATES = "/etc/orthanc-certificates"
MEBIBYTES = {"Mi": 1, "Gi": 1024}
OWN_MEBIBYTES = 200
"""What a process takes without instances: interpreter, libraries, connections."""


def ours(name):
    """Containers that run our program, with their pods."""
    return [(pod, it) for pod in pods(scenario(name)) for it in pod.containers if argv(it)[0] == "orthanc-cluster"]


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    """PEM files by their key in a Secret; of one authority."""
    authority = Authority.create(tmp_path_factory.mktemp("certificates"))
    pair = authority.issue("pod", "localhost")
    files = {"tls.crt": pair.certificate, "tls.key": pair.key, "chain.pem": pair.certificate, "key.pem": pair.key}
    return files | {"ca.crt": authority.pem}


def settings_of(name, container, folder, pod=None, certificates=None):
    """What the container's process reads, from its own environment and what is mounted, below `folder`."""
    mounted = {mount["name"] for mount in container["volumeMounts"]}
    here = folder / "certificates"
    if "configuration" in mounted:
        for config_map in find(scenario(name), "ConfigMap"):
            for file, text in config_map["data"].items():
                if file == "orthanc.json":
                    (folder / file).write_text(text.replace(CERTIFICATES, str(here)), "utf-8")
    if pod is not None:
        mount(pod, here, certificates)
    secrets = {(secret, key): SECRETS[key] for secret, key in secret_references(container)}
    paths = [folder] if "configuration" in mounted else []
    found = environment(container, secrets, "pod-1")
    return load_settings(paths, environ={key: it.replace(CERTIFICATES, str(here)) for key, it in found.items()})


def mount(pod, folder, certificates):
    """The Secrets of its projected volume, as a kubelet lays them out."""
    for volume in pod.spec.get("volumes", []):
        for path, (_, key) in (secret_files(volume) if "projected" in volume else {}).items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(certificates[key].read_bytes())


@pytest.mark.parametrize("name", SCENARIOS)
def test_settings(name, tmp_path):
    for pod, container in ours(name):
        if pod.owner.endswith("-test-echo"):
            continue  # knows a door, and nothing of what is behind
        settings = settings_of(name, container, tmp_path)
        assert settings.cluster.node_name == "pod-1", pod.owner
        assert "postgresql" in settings.postgresql.conninfo() or "host=" in settings.postgresql.conninfo()
        assert not settings.postgresql.lock
        assert settings.http.remote_access_allowed


@pytest.mark.parametrize("name", SCENARIOS)
def test_ports_are_those_of_the_configuration(name, tmp_path):
    for pod, container in ours(name):
        ports = {port["name"]: port["containerPort"] for port in container.get("ports", [])}
        settings = settings_of(name, container, tmp_path)
        if ports:
            assert ports["http"] == settings.http.port
            assert ports.get("probes", 0) == settings.cluster.probe_port
            has_dicom = settings.dicom.server_enabled and "ingest" in argv(container)
            assert ports.get("dicom") == (settings.dicom.port if has_dicom else None), pod.owner


@pytest.mark.parametrize("name", SCENARIOS)
def test_memory_limit_is_above_what_instances_may_take(name, tmp_path):
    for pod, container in ours(name):
        if "ingest" in argv(container):
            cluster = settings_of(name, container, tmp_path).cluster
            limit = container["resources"]["limits"]["memory"]
            mebibytes = int(limit[:-2]) * MEBIBYTES[limit[-2:]]
            assert mebibytes >= cluster.ingest_processes * (cluster.memory_budget_megabytes + OWN_MEBIBYTES), pod.owner


def test_storage_is_mounted_where_the_program_writes(tmp_path):
    for _, container in ours("01-smallest"):
        mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
        if "echo" in argv(container):
            continue
        assert str(settings_of("01-smallest", container, tmp_path).storage_directory) == mounts["storage"]


def test_a_password_arrives_as_it_is(tmp_path):
    _, container = ours("01-smallest")[0]
    settings = settings_of("01-smallest", container, tmp_path)
    assert settings.postgresql.password.get_secret_value() == SECRETS["password"]
    assert settings.http.registered_users["uploader"].get_secret_value() == "secret"


def test_options_of_orthanc_get_through(tmp_path):
    [container] = [it for pod, it in ours("03-hospital") if pod.owner.endswith("-ingest")]
    settings = settings_of("03-hospital", container, tmp_path)
    assert settings.dicom.check_called_aet
    assert settings.cluster.maximum_associations == 400
    assert settings.cluster.ingest_processes == 2
    assert settings.postgresql.index_connections_count == 8


@pytest.mark.parametrize("name", SCENARIOS)
def test_every_certificate_that_is_named_is_mounted_and_can_be_used(name, tmp_path, certificates):
    named = 0
    for number, (pod, container) in enumerate(ours(name)):
        folder = tmp_path / str(number)
        folder.mkdir()
        if pod.owner.endswith("-test-echo"):
            mount(pod, folder / "certificates", certificates)
            texts = argv(container)
        else:
            settings = settings_of(name, container, folder, pod, certificates)
            if container.get("ports"):
                assert (http_server_context(settings.http) is not None) is settings.http.ssl_enabled
            if pod.owner.endswith("-ingest"):
                assert (dicom_server_context(settings.dicom) is not None) is settings.dicom.tls_enabled
            # The Job has the whole configuration there, of which it opens no door.
            variables = [it.get("value", "") for it in container["env"] if it["name"] != "ORTHANC_JSON"]
            texts = [*argv(container), settings.postgresql.conninfo(), *variables]
        text = " ".join(texts).replace(str(folder / "certificates"), CERTIFICATES)
        for path in re.findall(rf"{CERTIFICATES}(/[\w./-]+)", text):
            assert Path(f"{folder}/certificates{path}").is_file(), (pod.owner, path)
            named += 1
    assert (named > 0) is ("certificates" in json.dumps([dict(pod.spec) for pod in pods(scenario(name))]))


def test_a_certificate_that_is_not_mounted_would_be_noticed(tmp_path, certificates):
    [(pod, container)] = [(pod, it) for pod, it in ours("09-tls") if pod.owner.endswith("-ingest")]
    settings = settings_of("09-tls", container, tmp_path, pod, certificates)
    for path in ("dicom/tls.key", "dicom-trusted/ca.crt", "http/tls.key"):
        (tmp_path / "certificates" / path).unlink()
    for make, part in ((dicom_server_context, settings.dicom), (http_server_context, settings.http)):
        with pytest.raises(ConfigurationError):
            make(part)


def ingest_settings(name, folder, certificates):
    [(pod, container)] = [(pod, it) for pod, it in ours(name) if pod.owner.endswith("-ingest")]
    return settings_of(name, container, folder, pod, certificates)


def test_tls_of_both_doors_and_the_way_to_postgresql(tmp_path, certificates):
    settings = ingest_settings("09-tls", tmp_path, certificates)
    assert settings.dicom.tls_remote_certificate_required
    assert settings.dicom.tls_minimum_protocol_version == 5
    assert not settings.http.ssl_verify_peers
    assert settings.cluster.read_only_users == ("viewer",)
    conninfo = settings.postgresql.conninfo()
    assert "host='archive-rw' port=5432 dbname='orthanc' user='archive' sslmode=verify-full" in conninfo
    assert "sslcert=" in conninfo
    assert settings.postgresql.server.host == "archive-rw:5432"


def test_clients_with_certificates_and_probes_without(tmp_path, certificates):
    settings = ingest_settings("10-client-certificates", tmp_path, certificates)
    assert settings.http.ssl_verify_peers
    assert not settings.dicom.tls_remote_certificate_required
    assert settings.cluster.probe_port == 8043
    assert settings.postgresql.conninfo() == SECRETS["pooler-uri"]
    assert settings.postgresql.direct_conninfo() == SECRETS["uri"]


def test_a_bucket(tmp_path, certificates):
    s3 = ingest_settings("11-s3", tmp_path, certificates).s3
    assert s3.is_used
    assert (s3.bucket_name, s3.region, s3.root_path) == ("archive", "eu-central-1", "dicom")
    assert (s3.endpoint, s3.virtual_addressing) == ("https://objects.example.org:9000", False)
    assert s3.secret_key.get_secret_value() == SECRETS["ACCESS_SECRET_KEY"]


def test_large_objects_and_who_may_store(tmp_path, certificates):
    settings = ingest_settings("12-postgresql-storage", tmp_path, certificates)
    assert settings.postgresql.enable_storage
    assert settings.dicom.check_called_aet
    assert not settings.dicom.always_allow_store
    assert settings.dicom.modalities["ct"].host == "10.20.0.7"
    assert settings.dicom.modalities["test"].allow_store
    assert settings.dicom.scp_timeout_seconds == 20
    assert settings.http.maximum_request_body_megabytes == 512
    assert settings.cluster.maximum_associations_per_peer == 20


def test_only_housekeeping_pods_keep_house(tmp_path):
    for pod, container in ours("01-smallest"):
        if "ingest" in argv(container):
            assert not settings_of("01-smallest", container, tmp_path).cluster.housekeeping, pod.owner
    assert [pod.owner for pod, it in ours("01-smallest") if "housekeeping" in argv(it)] == [
        "Deployment/archive-orthanc-cluster-housekeeping"
    ]


def test_a_misspelt_option_would_stop_the_program(tmp_path):
    # What the chart lets through freely is checked by the program: the test above would notice.
    [config_map] = find(
        render(values_of("01-smallest") | {"orthanc": {"Cluster": {"MaximumAsociations": 1}}}), "ConfigMap"
    )
    document = json.loads(config_map["data"]["orthanc.json"])
    (tmp_path / "orthanc.json").write_text(json.dumps(document), "utf-8")
    with pytest.raises(ConfigurationError, match="MaximumAsociations"):
        load_settings([tmp_path], environ={"ORTHANC__REGISTERED_USERS": SECRETS["users.json"]})


@pytest.mark.parametrize("name", SCENARIOS)
def test_command_lines_are_of_the_command_line(name):
    for _, container in ours(name):
        understood(argv(container)[1:])


def test_a_command_line_that_is_none_would_be_noticed():
    for arguments in (["housekeep"], ["ingest", "--configuration", "/etc/orthanc"], ["schema", "upgrad"]):
        with pytest.raises(click.UsageError):
            understood(arguments)


def understood(arguments):
    """Parse, and do nothing."""
    group = cli._group
    command, context = group, click.Context(group, info_name="orthanc-cluster", **group.context_settings)
    # A group that is a command too, as `load`, may be given options at once.
    while isinstance(command, click.Group) and arguments and not arguments[0].startswith("-"):
        name, command, arguments = command.resolve_command(context, list(arguments))
    with command.make_context(name, list(arguments), parent=context):
        pass
