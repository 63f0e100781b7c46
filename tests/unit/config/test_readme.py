"""The tables of cluster/config/README.md, row by row, against the code."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import pytest
from pydantic.fields import FieldInfo

import cluster.config
from cluster.config import Settings, load_settings
from cluster.config.environment import SECTIONS, TOP_LEVEL
from cluster.config.options import Options
from cluster.errors import ConfigurationError

README = Path(cluster.config.__file__).with_name("README.md")
ROW = re.compile(r"^\| `(?P<key>\w+)` \| `(?P<variable>ORTHANC__\w+)` \| (?P<default>.*?) \|", re.MULTILINE)
ROWS = [(match["key"], match["variable"], match["default"]) for match in ROW.finditer(README.read_text())]


TLS_FILES = ("CERTIFICATE", "PRIVATE_KEY", "TRUSTED_CERTIFICATES")
"""Without them TLS cannot be switched on."""

# Defaults that are no constants have their own tests.
COMPUTED = ("host name", "that of `RemoteAccessAllowed`", "that of `StorageDirectory`")


def honoured() -> dict[tuple[str, str], FieldInfo]:
    options: dict[tuple[str, str], FieldInfo] = {}
    for section, model in [*SECTIONS.items(), *(("", model) for model in TOP_LEVEL)]:
        options |= {(section, key): field for key, field in model.by_key().items()}
    return options


def section_of(variable: str) -> str:
    return next(
        (
            name
            for name in SECTIONS
            if variable.removeprefix("ORTHANC__").replace("_", "").startswith(name.upper()) and variable.count("__") > 1
        ),
        "",
    )


def current(settings: Settings) -> dict[tuple[str, str], Any]:
    """The value of every option that `settings` hold."""
    groups: list[tuple[str, Options]] = [
        ("", settings),
        ("", settings.dicom),
        ("", settings.http),
        ("PostgreSQL", settings.postgresql),
        ("AwsS3Storage", settings.s3),
        ("Cluster", settings.cluster),
    ]
    return {
        (section, str(field.validation_alias)): getattr(group, name)
        for section, group in groups
        for name, field in type(group).model_fields.items()
        if field.validation_alias
    }


def reached_by(environ: Mapping[str, str], variable: str, text: str) -> set[str]:
    """The paths of the options that `variable` changes, or of the one for which its value is refused."""
    before = current(load_settings([], environ))
    try:
        after = current(load_settings([], {**environ, variable: text}))
    except ConfigurationError as refused:
        return {refused.path}
    return {f"{section}.{key}".strip(".") for section, key in after if after[section, key] != before[section, key]}


def other_value(field: FieldInfo, value: Any) -> str:
    """Text for a variable that is of the type of `field` and says something else than `value`."""
    annotation = field.annotation
    if annotation is bool:
        return json.dumps(not value)
    if annotation is int:
        return "7"
    if get_origin(annotation) is Literal:
        return str(get_args(annotation)[-1])
    if annotation is not None and "Modality" in str(annotation):
        return '{"b": ["AET", "host", 104]}'
    if get_origin(annotation) in (dict, Mapping):
        return '{"b": "c"}'
    return '["1.2"]' if get_origin(annotation) in (list, tuple) else "1.2"


def test_the_tables_hold_every_option_once() -> None:
    listed = [(section_of(variable), key) for key, variable, _ in ROWS]

    assert sorted(listed) == sorted(honoured())


@pytest.mark.parametrize(("key", "variable", "default"), ROWS)
def test_every_option_is_reachable_by_its_variable(key: str, variable: str, default: str) -> None:
    # Given
    environ = {
        "ORTHANC__POSTGRESQL__ENABLE_INDEX": "true",
        "ORTHANC__REGISTERED_USERS": '{"a": "b"}',
        "ORTHANC__AWS_S3_STORAGE__BUCKET_NAME": "bucket",
        "ORTHANC__AWS_S3_STORAGE__ACCESS_KEY": "key",
        "ORTHANC__AWS_S3_STORAGE__SECRET_KEY": "secret",
    }
    environ |= {f"ORTHANC__DICOM_TLS_{name}": "file.pem" for name in TLS_FILES}
    section = section_of(variable)
    field = honoured()[section, key]
    value = current(load_settings([], environ)).get((section, key), field.default)

    # When
    reached = reached_by(environ, variable, other_value(field, value))

    # Then
    follows = {"RemoteAccessAllowed": {"AuthenticationEnabled"}, "StorageDirectory": {"IndexDirectory"}}.get(key, set())
    assert reached == {f"{section}.{key}".strip("."), *follows}


def plain(text: str) -> Any:
    """A cell of the column "default" as a value; what Orthanc has instead stands behind it in parentheses."""
    text = text.partition(" (")[0]
    if text in ("empty", "unset"):
        return "" if text == "empty" else None
    if text.startswith("`"):
        return text.strip("`")
    return json.loads(text.replace("[`", '["').replace("`]", '"]'))


@pytest.mark.parametrize(("key", "variable", "default"), [row for row in ROWS if row[2] not in COMPUTED])
def test_the_defaults_are_those_of_the_code(key: str, variable: str, default: str) -> None:
    field = honoured()[section_of(variable), key]
    value = field.get_default(call_default_factory=True)
    value = value.get_secret_value() if hasattr(value, "get_secret_value") else value
    value = str(value) if isinstance(value, Path) else list(value) if isinstance(value, tuple) else value

    assert value == plain(default)
    assert type(value) is type(plain(default))


@pytest.mark.parametrize("model", [*TOP_LEVEL, *SECTIONS.values()])
def test_every_field_has_a_key_or_is_a_part(model: type[Options]) -> None:
    without = set(model.model_fields) - {name for name, field in model.model_fields.items() if field.validation_alias}

    assert without <= {"files", "dicom", "http", "postgresql", "s3", "cluster"}
