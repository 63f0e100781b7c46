"""The program takes what the chart gives it: configuration, environment, command lines."""

import json

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
    secret_references,
    values_of,
)
from workers import cli

SECRETS = {
    "password": "a\"b\\c'd$e",
    "uri": "postgresql://orthanc:secret@archive-rw:5432/orthanc",
    "username": "app",
    "url": "redis://:secret@redis:6379/0",
    "redis-url": "redis://:secret@redis:6379/0",
    "users.json": '{"uploader": "secret"}',
}
MEBIBYTES = {"Mi": 1, "Gi": 1024}
OWN_MEBIBYTES = 200
"""What a process takes without instances: interpreter, libraries, connections."""


def ours(name):
    """Containers that run our program, with their pods."""
    return [(pod, it) for pod in pods(scenario(name)) for it in pod.containers if argv(it)[0] == "orthanc-cluster"]


def settings_of(name, container, folder):
    """What the container's process reads, from its own environment and what is mounted."""
    mounted = {mount["name"] for mount in container["volumeMounts"]}
    if "configuration" in mounted:
        for config_map in find(scenario(name), "ConfigMap"):
            for file, text in config_map["data"].items():
                if file == "orthanc.json":
                    (folder / file).write_text(text, "utf-8")
    secrets = {(secret, key): SECRETS[key] for secret, key in secret_references(container)}
    paths = [folder] if "configuration" in mounted else []
    return load_settings(paths, environ=environment(container, secrets, "pod-1"))


@pytest.mark.parametrize("name", SCENARIOS)
def test_settings(name, tmp_path):
    for pod, container in ours(name):
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
    command, context = cli._group, click.Context(cli._group, info_name="orthanc-cluster")
    while isinstance(command, click.Group):
        name, command, arguments = command.resolve_command(context, list(arguments))
    with command.make_context(name, list(arguments), parent=context):
        pass
