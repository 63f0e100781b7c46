"""Section PostgreSQL and the connection strings made from it, judged by libpq's own parser."""

from typing import Any

import pytest
from psycopg.conninfo import conninfo_to_dict
from pydantic import SecretStr

from cluster.config import PostgreSQLSettings
from cluster.config.connection_string import Server, read_connection_string
from cluster.errors import ConfigurationError
from tests.unit.config.loading import from_json, refusal

WHOLE = "must be a whole number"


def section(**options: Any) -> PostgreSQLSettings:
    return from_json({"PostgreSQL": {"EnableIndex": True, **options}}).postgresql


def refused(**options: Any) -> str:
    return refusal({"PostgreSQL": {"EnableIndex": True, **options}})


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        ("Host", 5, "must be text"),
        ("Host", "a\0b", "must not contain control characters"),
        ("Port", "5432", WHOLE),
        ("Port", True, WHOLE),
        ("Port", 0, "must be at least 1"),
        ("Port", 65536, "must be at most 65535"),
        ("Database", None, "must be text"),
        ("Username", [], "must be text"),
        ("Password", 12345, "must be text"),
        ("Password", "a\0b", "must not contain a NUL character"),
        ("Password", "\udc80", "must be valid Unicode"),
        ("EnableSsl", "yes", "must be true or false"),
        ("EnableIndex", 1, "must be true or false"),
        ("Lock", "false", "must be true or false"),
        ("IndexConnectionsCount", 0, "must be at least 1"),
        ("IndexConnectionsCount", "5", WHOLE),
        ("IndexConnectionsCount", 2.5, WHOLE),
        ("MaximumConnectionRetries", -1, "must be at least 0"),
        ("ConnectionRetryInterval", -1, "must be at least 0"),
        ("TransactionMode", "readcommitted", "must be one of 'ReadCommitted' or 'Serializable'"),
        ("Schema", "", "must have 1 to 63 bytes"),
        ("Schema", "é" * 32, "must have 1 to 63 bytes"),
        ("Schema", "Cluster", '"cluster" is the schema of this program\'s own tables'),
        ("ApplicationName", 5, "must be text"),
        ("UseDynamicConnectionPool", 1, "must be true or false"),
        ("EnableVerboseLogs", 1, "must be true or false"),
        ("HousekeepingInterval", 0, "must be at least 1"),
        ("AllowInconsistentChildCounts", 1, "must be true or false"),
        ("ConnectionUri", 5, "must be text"),
        ("Foo", 1, "unknown option"),
        ("IndexConnectionCount", 1, "unknown option; did you mean IndexConnectionsCount?"),
        ("enablessl", True, "unknown option; did you mean EnableSsl?"),
        ("host", "a", "unknown option; did you mean Host?"),
        ("schema_name", "a", "unknown option"),
    ],
)
def test_a_wrong_option_is_named(key: str, value: Any, reason: str) -> None:
    assert refused(**{key: value}).startswith(f"PostgreSQL.{key}: {reason}")


@pytest.mark.parametrize(
    ("key", "field", "value"),
    [
        ("Lock", "lock", False),
        ("EnableStorage", "enable_storage", False),
        ("UseDynamicConnectionPool", "use_dynamic_connection_pool", True),
        ("EnableVerboseLogs", "enable_verbose_logs", True),
        ("HousekeepingInterval", "housekeeping_interval_seconds", 60),
        ("AllowInconsistentChildCounts", "allow_inconsistent_child_counts", True),
        ("TransactionMode", "transaction_mode", "Serializable"),
        ("IndexConnectionsCount", "index_connections_count", 1),
        ("MaximumConnectionRetries", "maximum_connection_retries", 0),
        ("ConnectionUri", "connection_uri", None),
    ],
)
def test_accepted_values(key: str, field: str, value: Any) -> None:
    assert getattr(section(**{key: value}), field) == value


def test_a_schema_is_lower_cased() -> None:
    assert section(Schema="Archive").schema_name == "archive"


@pytest.mark.parametrize("section", [{}, {"Host": "db"}, {"Host": "db", "EnableIndex": False}])
def test_without_the_index_there_is_no_connection(section: dict[str, Any]) -> None:
    postgresql = PostgreSQLSettings.model_validate(section)

    assert not postgresql.enable_index
    assert postgresql.server_given == ("Host" in section)
    with pytest.raises(ConfigurationError, match=r"^PostgreSQL\.EnableIndex: must be true"):
        postgresql.conninfo()


@pytest.mark.parametrize(
    ("options", "given"),
    [
        ({}, False),
        ({"IndexConnectionsCount": 2, "Schema": "a"}, False),
        ({"Host": "localhost"}, True),
        ({"ConnectionUri": "postgresql://db"}, True),
    ],
)
def test_whether_the_configuration_names_a_server(options: dict[str, Any], given: bool) -> None:
    assert section(**options).server_given is given


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("Host", "localhost"),
        ("Port", 5432),
        ("Database", ""),
        ("Username", "u"),
        ("Password", "p"),
        ("EnableSsl", False),
    ],
)
def test_connection_uri_excludes_what_it_replaces(key: str, value: Any) -> None:
    message = refused(ConnectionUri="postgresql://db", **{key: value})

    assert message == f"PostgreSQL.ConnectionUri: replaces {key}: give the one or the other, not both"


AWKWARD = ["plain", "two words", "it's", "back\\slash", "\\'", "tail\\", "'", "a=b", " a ", "ü", "tab\tnl\n"]


@pytest.mark.parametrize("password", AWKWARD)
def test_libpq_reads_back_any_password(password: str) -> None:
    conninfo = section(Host="db", Password=password, Username="u u", Database="d'd", ApplicationName="a\\a").conninfo()

    assert conninfo_to_dict(conninfo) == {
        "host": "db",
        "port": "5432",
        "dbname": "d'd",
        "user": "u u",
        "password": password,
        "sslmode": "disable",
        "application_name": "a\\a",
    }


def test_what_is_empty_is_left_to_libpq() -> None:
    assert conninfo_to_dict(section(Host="", Password="").conninfo()) == {"port": "5432", "sslmode": "disable"}


@pytest.mark.parametrize(("ssl", "mode"), [(True, "require"), (False, "disable")])
def test_enable_ssl_is_an_sslmode(ssl: bool, mode: str) -> None:
    assert conninfo_to_dict(section(EnableSsl=ssl).conninfo())["sslmode"] == mode


def test_a_host_may_be_the_folder_of_a_socket() -> None:
    postgresql = section(Host="/var/run/post gres")

    assert conninfo_to_dict(postgresql.conninfo())["host"] == "/var/run/post gres"


URIS = [
    ("postgresql://", Server("", "")),
    ("postgres://u:p@db/archive", Server("db", "archive")),
    ("postgresql://u:p%40w@db:5433/archive?sslmode=require", Server("db:5433", "archive")),
    ("postgresql://db/archive%20one", Server("db", "archive one")),
    ("postgresql://u:p?w=1@db/archive", Server("db", "archive")),
    ("postgresql://u:p=w@[::1]:5433/archive", Server("[::1]:5433", "archive")),
    ("postgresql://a:1,b:2/archive?target_session_attrs=read-write", Server("a:1,b:2", "archive")),
    ("postgresql:///archive?host=/run/pg&user=u&password=p", Server("/run/pg", "archive")),
    ("postgresql://u@%2Frun%2Fpg/archive", Server("/run/pg", "archive")),
    ("postgresql://db?dbname=other", Server("db", "other")),
    ("host=db dbname=archive password=p", Server("db", "archive")),
    ("host = db port=5433 dbname='two words' password='p w\\' x'", Server("db:5433", "two words")),
    ("  service=orthanc  ", Server("", "")),
    ("host=db password=a://b", Server("db", "")),
]


@pytest.mark.parametrize(("uri", "server"), URIS)
def test_a_connection_uri_is_passed_on_unchanged(uri: str, server: Server) -> None:
    postgresql = section(ConnectionUri=uri, ApplicationName="not applied")

    assert postgresql.conninfo() == uri
    assert postgresql.server == server


@pytest.mark.parametrize("uri", [uri for uri, _ in URIS])
def test_libpq_agrees_on_what_a_connection_uri_says(uri: str) -> None:
    said = conninfo_to_dict(uri)
    server = read_connection_string(uri)

    assert server.database == str(said.get("dbname", ""))
    for host in str(said.get("host", "")).split(","):
        assert host in server.host


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "hunter2",
        "hunter2 host=db",
        "host=db hunter2",
        "host=db password=hunter2'",
        "host=db password='hunter2",
        "mysql://u:hunter2@db/archive",
        "http://u:hunter2@db/?a=b",
        "postgresql:/u:hunter2@db",
        # Passwords whose special characters should have been percent-encoded.
        "postgresql://u:hunter2/x@db/archive",
        "postgresql://u:1/hunter2@db/archive",
        "postgresql://u:p@hunter2@db/archive",
        "postgresql://u:12?host=hunter2@db/x@y",
        "postgresql://u:12/3?hunter2@db",
        "postgresql://db:port/archive",
        "postgresql://[::1/archive",
        "postgresql://db/archive?nothing",
    ],
)
def test_another_connection_uri_is_refused_without_being_quoted(uri: str) -> None:
    message = refused(ConnectionUri=uri)

    assert message.startswith("PostgreSQL.ConnectionUri: must be a ")
    assert "hunter2" not in message


def test_settings_can_be_built_by_field_names() -> None:
    postgresql = PostgreSQLSettings(enable_index=True, host="db", password=SecretStr("p"))

    assert conninfo_to_dict(postgresql.conninfo())["host"] == "db"
