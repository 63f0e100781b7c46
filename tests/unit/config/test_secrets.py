"""No password in anything that ends up in a log."""

import json
import pickle
import traceback
from typing import Any

import pytest

from cluster.config import PostgreSQLSettings, Settings, describe, load_settings
from cluster.errors import ConfigurationError
from tests.unit.config.loading import from_json

SECRET = "hunter2"
USERS = {"RegisteredUsers": {"alice": SECRET}, "RemoteAccessAllowed": True}
BY_FIELDS = {"EnableIndex": True, "Host": "db", "Password": SECRET}
BY_URI = {"EnableIndex": True, "ConnectionUri": f"postgresql://u:{SECRET}@db/archive"}
BY_PAIRS = {"EnableIndex": True, "ConnectionUri": f"host=db dbname=archive password={SECRET}"}
REDIS = {"Cluster": {"RedisUrl": f"redis://:{SECRET}@localhost"}}


def forms(settings: Settings) -> dict[str, str]:
    return {
        "repr": repr(settings),
        "str": str(settings),
        "model_dump": str(settings.model_dump()),
        "model_dump_json": settings.model_dump_json(),
        "describe": "\n".join(describe(settings)),
        "parts": "".join(map(repr, (settings.postgresql, settings.http, settings.cluster, settings.postgresql.server))),
    }


@pytest.mark.parametrize("postgresql", [BY_FIELDS, BY_URI, BY_PAIRS])
def test_no_form_of_the_settings_shows_a_password(postgresql: dict[str, Any]) -> None:
    settings = from_json({**USERS, **REDIS, "PostgreSQL": postgresql})

    assert SECRET in settings.postgresql.conninfo()
    assert SECRET in settings.cluster.redis_url.get_secret_value()
    assert settings.http.registered_users["alice"].get_secret_value() == SECRET
    for form, text in forms(settings).items():
        assert SECRET not in text, form


def test_settings_keep_their_secrets_on_the_way_to_another_process() -> None:
    settings = from_json({"PostgreSQL": BY_FIELDS})

    assert pickle.loads(pickle.dumps(settings)).postgresql.conninfo() == settings.postgresql.conninfo()


@pytest.mark.parametrize(
    "environ",
    [
        {"ORTHANC_JSON": json.dumps({"PostgreSQL": {**BY_FIELDS, "EnableStorage": 1}})},
        {"ORTHANC_JSON": json.dumps({"PostgreSQL": {**BY_FIELDS, "Port": "5"}})},
        {"ORTHANC_JSON": json.dumps({"PostgreSQL": {**BY_FIELDS, "Pasword": SECRET}})},
        {"ORTHANC_JSON": json.dumps({"PostgreSQL": {**BY_URI, "Password": SECRET}})},
        {"ORTHANC_JSON": json.dumps({"PostgreSQL": {"EnableIndex": True, "Password": [SECRET]}})},
        {"ORTHANC_JSON": json.dumps({"PostgreSQL": {"EnableIndex": True, "Password": f"{SECRET}\0"}})},
        {"ORTHANC_JSON": json.dumps({"PostgreSQL": {"EnableIndex": True, "Password": f"{SECRET}\ud800"}})},
        {"ORTHANC_JSON": json.dumps({"PostgreSQL": {"EnableIndex": True, "ConnectionUri": f"mysql://{SECRET}"}})},
        {"ORTHANC_JSON": json.dumps({"PostgreSQL": SECRET})},
        {"ORTHANC_JSON": json.dumps({"PostgreSQL": {"EnableIndex": True, "Port": SECRET, "Host": 5}})},
        {"ORTHANC_JSON": json.dumps({"PostgreSQL": {"EnableIndex": True, "TransactionMode": SECRET}})},
        {"ORTHANC_JSON": json.dumps({"RegisteredUsers": {f"alice:{SECRET}": "x"}})},
        {"ORTHANC_JSON": json.dumps({"RegisteredUsers": {"alice": [SECRET]}})},
        {"ORTHANC_JSON": json.dumps({"RegisteredUsers": SECRET})},
        {"ORTHANC_JSON": json.dumps({"Cluster": {"RedisUrl": f"http://{SECRET}"}})},
        {"ORTHANC_JSON": json.dumps({"Cluster": {"RedisUrl": {"x": SECRET}}})},
        {"ORTHANC_JSON": json.dumps({"IngestTranscoding": SECRET})},
        {"ORTHANC_JSON": f'{{"Password": "{SECRET}'},
        {"ORTHANC_JSON": f'{{"Password": {SECRET}}}'},
        {"ORTHANC_JSON": '{"Password": ${PASSWORD}}', "PASSWORD": SECRET},
        {"ORTHANC_JSON": f'["{SECRET}"]'},
        {"ORTHANC_JSON": f'{{"Password": "{SECRET}", "Number": {"9" * 5000}}}'},
        {"ORTHANC__POSTGRESQL__PASSWORD_SECRET": SECRET},
        {"ORTHANC__POSTGRESQL__PASSWORD_FILE": SECRET},
        {"ORTHANC__POSTGRESQL__PORT": SECRET},
        {"ORTHANC__POSTGRESQL__CONNECTION_URI": SECRET},
    ],
)
def test_no_error_shows_a_password(environ: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load_settings([], environ)

    assert SECRET not in repr(caught.value)
    assert SECRET not in "".join(traceback.format_exception(caught.value))
    # Nor anything that a tool for error reports could follow.
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


def test_a_model_built_wrongly_by_code_does_not_show_a_password() -> None:
    with pytest.raises(ValueError, match="port") as caught:
        PostgreSQLSettings(password=SECRET, port=SECRET)  # type: ignore[arg-type]

    assert SECRET not in str(caught.value)
