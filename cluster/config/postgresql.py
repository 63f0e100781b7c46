"""Section PostgreSQL, the options of Orthanc's plugin (interop/config.md, section 5)."""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, PrivateAttr, SecretStr, model_validator

from cluster.config.connection_string import Server, quote, read_connection_string
from cluster.config.options import Options, Port, Secret, Text
from cluster.errors import ConfigurationError

# What ConnectionUri replaces.
_SERVER_FIELDS = ("host", "port", "database", "username", "password", "enable_ssl")


def checked_connection_uri(uri: SecretStr) -> SecretStr:
    """`uri` if it has the shape of a connection string; ValueError, which quotes nothing of it, if not."""
    read_connection_string(uri.get_secret_value())
    return uri


def _schema(name: str) -> str:
    name = name.lower()
    if not 1 <= len(name.encode()) <= 63:
        raise ValueError("must have 1 to 63 bytes")
    if name == "cluster":
        raise ValueError('"cluster" is the schema of this program\'s own tables; the index needs another one')
    return name


class PostgreSQLSettings(Options):
    """How to reach the index and how to use it.

    Two defaults differ from the plugin's: Lock is false (there are several writers), and IndexConnectionsCount is 4
    (group commit needs few). Without `EnableIndex: true` the index is in SQLite, and there is no `conninfo()`.
    """

    enable_index: bool = Field(default=False, validation_alias="EnableIndex")
    enable_storage: bool = Field(default=False, validation_alias="EnableStorage")
    lock: bool = Field(default=False, validation_alias="Lock")
    host: Text = Field(default="localhost", validation_alias="Host")
    port: Port = Field(default=5432, validation_alias="Port")
    database: Text = Field(default="", validation_alias="Database")
    username: Text = Field(default="", validation_alias="Username")
    password: Secret = Field(default=SecretStr(""), validation_alias="Password")
    connection_uri: Annotated[Secret, AfterValidator(checked_connection_uri)] | None = Field(
        default=None, validation_alias="ConnectionUri"
    )
    enable_ssl: bool = Field(default=False, validation_alias="EnableSsl")
    index_connections_count: int = Field(default=4, ge=1, validation_alias="IndexConnectionsCount")
    use_dynamic_connection_pool: bool = Field(default=False, validation_alias="UseDynamicConnectionPool")
    maximum_connection_retries: int = Field(default=10, ge=0, validation_alias="MaximumConnectionRetries")
    connection_retry_interval_seconds: int = Field(default=5, ge=0, validation_alias="ConnectionRetryInterval")
    transaction_mode: Literal["ReadCommitted", "Serializable"] = Field(
        default="ReadCommitted", validation_alias="TransactionMode"
    )
    schema_name: Annotated[Text, AfterValidator(_schema)] = Field(default="public", validation_alias="Schema")
    application_name: Text = Field(default="", validation_alias="ApplicationName")
    enable_verbose_logs: bool = Field(default=False, validation_alias="EnableVerboseLogs")
    housekeeping_interval_seconds: int = Field(default=1, ge=1, validation_alias="HousekeepingInterval")
    allow_inconsistent_child_counts: bool = Field(default=False, validation_alias="AllowInconsistentChildCounts")

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.enable_storage and not self.enable_index:
            raise ConfigurationError("PostgreSQL.EnableStorage", "needs EnableIndex: files and rows commit together")
        if self.connection_uri is not None:
            for field in _SERVER_FIELDS:
                if field in self.model_fields_set:
                    key = type(self).model_fields[field].validation_alias
                    raise ConfigurationError(
                        "PostgreSQL.ConnectionUri", f"replaces {key}: give the one or the other, not both"
                    )
        return self

    # Cluster.DirectConnectionUri: a real Orthanc would not know it in its section.
    _direct_connection_uri: SecretStr | None = PrivateAttr(default=None)

    @property
    def server_given(self) -> bool:
        """Whether the configuration says which server to use, be it by ConnectionUri or by Host and its like."""
        return not self.model_fields_set.isdisjoint((*_SERVER_FIELDS, "connection_uri"))

    @property
    def server(self) -> Server:
        """Host and database, without anything that has to stay secret."""
        if self.connection_uri is not None:
            return read_connection_string(self.connection_uri.get_secret_value())
        return Server(host=f"{self.host}:{self.port}" if self.host else "", database=self.database)

    def conninfo(self) -> str:
        """The connection string for libpq, password included; a ConnectionUri as it was given.

        What is empty is left out, so that libpq's own defaults apply. Raises ConfigurationError if PostgreSQL is not
        the index.
        """
        self._require_index()
        if self.connection_uri is not None:
            return self.connection_uri.get_secret_value()
        parameters = {
            "host": self.host,
            "port": str(self.port),
            "dbname": self.database,
            "user": self.username,
            "password": self.password.get_secret_value(),
            "sslmode": "require" if self.enable_ssl else "disable",
            "application_name": self.application_name,
        }
        return " ".join(f"{key}={quote(value)}" for key, value in parameters.items() if value)

    def with_direct_connection(self, uri: SecretStr | None) -> Self:
        """The same settings, with another way to the same database for what needs a session of its own."""
        copy = self.model_copy()
        copy._direct_connection_uri = uri
        return copy

    def direct_conninfo(self) -> str:
        """The connection string for what needs a session of its own: that of `conninfo`, unless another one is given.

        Raises ConfigurationError if PostgreSQL is not the index.
        """
        self._require_index()
        return self._direct_connection_uri.get_secret_value() if self._direct_connection_uri else self.conninfo()

    def _require_index(self) -> None:
        if not self.enable_index:
            raise ConfigurationError(
                "PostgreSQL.EnableIndex",
                "must be true for this: an index in SQLite, the default, serves one node alone",
            )
