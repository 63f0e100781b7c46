"""Environment variables: names, types, layers, files of secrets."""

import json
from pathlib import Path
from typing import Any

import pytest

from cluster.config import Settings, load_settings
from cluster.config.environment import merge, option_path
from cluster.errors import ConfigurationError
from tests.unit.config.loading import from_environment

INDEX = {"ORTHANC__POSTGRESQL__ENABLE_INDEX": "true"}


def secret_of(settings: Settings) -> str:
    return settings.postgresql.password.get_secret_value()


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("NAME", ("Name",)),
        ("POSTGRESQL__HOST", ("PostgreSQL", "Host")),
        ("POSTGRESQL__ENABLE_SSL", ("PostgreSQL", "EnableSsl")),
        ("DICOM_WEB__ENABLE", ("DicomWeb", "Enable")),
        ("MYSQL__HOST", ("MySQL", "Host")),
        ("OHIF__DATA_SOURCE", ("OHIF", "DataSource")),
        ("CASE_SENSITIVE_PN", ("CaseSensitivePN",)),
        ("HTTPS_CA_CERTIFICATES", ("HttpsCACertificates",)),
        ("STORE_MD5_FOR_ATTACHMENTS", ("StoreMD5ForAttachments",)),
        ("A_B__C_D__E", ("AB", "CD", "E")),
    ],
)
def test_names_of_variables(name: str, path: tuple[str, ...]) -> None:
    assert option_path(name) == path


@pytest.mark.parametrize("name", ["ORTHANC__", "ORTHANC__A____B", "ORTHANC__POSTGRESQL__", "ORTHANC_____"])
def test_a_name_with_an_empty_part_is_refused(name: str) -> None:
    with pytest.raises(ConfigurationError, match=f"^{name}: "):
        from_environment(**{name: "x"})


@pytest.mark.parametrize(
    ("variable", "value", "section", "field", "expected"),
    [
        ("NAME", "plain", "", "name", "plain"),
        ("NAME", "007", "", "name", "007"),
        ("NAME", "true", "", "name", "true"),
        ("NAME", '"quoted"', "", "name", '"quoted"'),
        ("NAME", "", "", "name", ""),
        ("DICOM_AET", "007", "dicom", "aet", "007"),
        ("STORAGE_DIRECTORY", "5", "", "storage_directory", Path("5")),
        ("DEFAULT_ENCODING", "Utf8", "", "default_encoding", "Utf8"),
        ("OVERWRITE_INSTANCES", "true", "", "overwrite_instances", "Always"),
        ("OVERWRITE_INSTANCES", "false", "", "overwrite_instances", "Never"),
        ("OVERWRITE_INSTANCES", "IfChanged", "", "overwrite_instances", "IfChanged"),
        ("DICOM_PORT", "104", "dicom", "port", 104),
        ("DICOM_CHECK_CALLED_AET", "true", "dicom", "check_called_aet", True),
        ("ACCEPTED_TRANSFER_SYNTAXES", '["1.2.*", "1.3"]', "dicom", "accepted_transfer_syntaxes", ("1.2.*", "1.3")),
        ("ACCEPTED_TRANSFER_SYNTAXES", "1.2.840.*", "dicom", "accepted_transfer_syntaxes", ("1.2.840.*",)),
        ("CLUSTER__NODE_NAME", "1", "cluster", "node_name", "1"),
        ("CLUSTER__FAILPOINTS", '{"a": "b"}', "cluster", "failpoints", {"a": "b"}),
        ("CLUSTER", '{"DrainSeconds": 5}', "cluster", "drain_seconds", 5),
    ],
)
def test_values_take_the_type_of_their_option(
    variable: str, value: str, section: str, field: str, expected: Any
) -> None:
    settings = from_environment(**{f"ORTHANC__{variable}": value})

    assert getattr(getattr(settings, section) if section else settings, field) == expected


@pytest.mark.parametrize("password", ["12345", "true", '"', '{"a": 1}', "null", "${HOME}", "", " a "])
def test_a_password_is_never_read_as_json(password: str) -> None:
    settings = from_environment(**INDEX, ORTHANC__POSTGRESQL__PASSWORD=password)
    users = from_environment(ORTHANC__REGISTERED_USERS__ALICE=password).http.registered_users

    assert secret_of(settings) == password
    assert {name: user.get_secret_value() for name, user in users.items()} == {"Alice": password}


def test_users_can_be_given_as_one_object() -> None:
    users = from_environment(ORTHANC__REGISTERED_USERS='{"alice": "12345"}').http.registered_users

    assert {name: user.get_secret_value() for name, user in users.items()} == {"alice": "12345"}


def test_environment_wins_over_files_and_overrides_over_both(tmp_path: Path) -> None:
    # Given
    file = tmp_path / "a.json"
    document = {"Name": "file", "PostgreSQL": {"EnableIndex": True, "Host": "file", "Database": "file", "Port": 1}}
    file.write_text(json.dumps(document))
    environ = {"ORTHANC__POSTGRESQL__HOST": "environment", "ORTHANC__POSTGRESQL__PORT": "2"}

    # When
    settings = load_settings([file], environ, overrides={"PostgreSQL": {"Port": 3}})

    # Then
    assert settings.name == "file"
    assert (settings.postgresql.database, settings.postgresql.host, settings.postgresql.port) == (
        "file",
        "environment",
        3,
    )


def test_the_whole_then_sections_then_options() -> None:
    environ = {
        "ORTHANC__CLUSTER__DRAIN_SECONDS": "3",
        "ORTHANC__CLUSTER": '{"DrainSeconds": 2, "IngestProcesses": 2}',
        "ORTHANC_JSON": '{"Cluster": {"DrainSeconds": 1, "IngestProcesses": 1, "BatchesInFlight": 1}} // comment',
    }

    cluster = load_settings([], environ).cluster

    assert (cluster.drain_seconds, cluster.ingest_processes, cluster.batches_in_flight) == (3, 2, 1)


def test_a_syntax_error_in_the_whole_configuration_names_the_variable() -> None:
    with pytest.raises(ConfigurationError, match=r"^ORTHANC_JSON: line 1, column 2: "):
        from_environment(ORTHANC_JSON="{")


def test_variables_of_other_options_are_ignored(tmp_path: Path) -> None:
    environ = {
        "ORTHANC__DICOM_WEB__ENABLE": "true",
        # Not an option of ours: so this is an option whose name ends in "File", not the extension.
        "ORTHANC__GOOGLE_CLOUD_STORAGE__SERVICE_ACCOUNT_FILE": str(tmp_path / "absent"),
        "ORTHANC__AUTHORIZATION__TOKEN_SECRET": "absent",
        "ORTHANC_PORT": "tcp://10.0.0.1:4242",
        "ORTHANC_JSON_X": "{",
        "orthanc__name": "x",
    }

    assert load_settings([], environ) == load_settings([], {})


@pytest.mark.parametrize("content", ["12345", "12345\n", "12345\r\n"])
def test_a_secret_is_a_file_of_the_folder_of_secrets(tmp_path: Path, content: str) -> None:
    (tmp_path / "database-password").write_bytes(content.encode())
    environ = {**INDEX, "ORTHANC__POSTGRESQL__PASSWORD_SECRET": "database-password"}

    assert secret_of(load_settings([], environ, secrets_folder=tmp_path)) == "12345"


def test_a_value_can_be_in_any_file(tmp_path: Path) -> None:
    file = tmp_path / "value"
    file.write_text("77\n")

    assert secret_of(from_environment(**INDEX, ORTHANC__POSTGRESQL__PASSWORD_FILE=str(file))) == "77"
    assert from_environment(ORTHANC__HTTP_PORT_FILE=str(file)).http.port == 77
    users = from_environment(ORTHANC__REGISTERED_USERS__ALICE_FILE=str(file)).http.registered_users
    assert users["Alice"].get_secret_value() == "77"


def test_a_whole_section_and_a_whole_configuration_can_be_secrets(tmp_path: Path) -> None:
    (tmp_path / "section").write_text('{"EnableIndex": true, "Password": "a"}')
    (tmp_path / "whole").write_text('{"Name": "b"} // comment')
    environ = {"ORTHANC__POSTGRESQL_SECRET": "section", "ORTHANC_JSON_SECRET": "whole"}

    settings = load_settings([], environ, secrets_folder=tmp_path)

    assert (secret_of(settings), settings.name) == ("a", "b")


def test_secrets_win_over_files_and_these_over_plain_values(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("from secret")
    (tmp_path / "file").write_text("from file")
    environ = {
        "ORTHANC__NAME": "plain",
        "ORTHANC__NAME_FILE": str(tmp_path / "file"),
        "ORTHANC__NAME_SECRET": "secret",
    }

    assert load_settings([], environ, secrets_folder=tmp_path).name == "from secret"
    del environ["ORTHANC__NAME_SECRET"]
    assert load_settings([], environ, secrets_folder=tmp_path).name == "from file"


@pytest.mark.parametrize("suffix", ["_FILE", "_SECRET"])
def test_an_unreadable_secret_names_the_variable_and_not_its_value(tmp_path: Path, suffix: str) -> None:
    # Given somebody who put the password itself into the variable
    environ = {f"ORTHANC__POSTGRESQL__PASSWORD{suffix}": "hunter2"}

    with pytest.raises(ConfigurationError) as caught:
        load_settings([], environ, secrets_folder=tmp_path)

    assert str(caught.value).startswith(f"ORTHANC__POSTGRESQL__PASSWORD{suffix}: ")
    assert "hunter2" not in str(caught.value)


def test_a_misspelt_variable_is_found() -> None:
    with pytest.raises(ConfigurationError, match=r"^PostgreSQL\.Pasword: unknown option; did you mean Password\?$"):
        from_environment(ORTHANC__POSTGRESQL__PASWORD="x")


def test_merging_leaves_both_documents_alone() -> None:
    below, above = {"a": {"b": 1, "c": 2}, "d": [1]}, {"a": {"b": 3}, "d": [2]}

    assert merge(below, above) == {"a": {"b": 3, "c": 2}, "d": [2]}
    assert (below, above) == ({"a": {"b": 1, "c": 2}, "d": [1]}, {"a": {"b": 3}, "d": [2]})
