"""Section Cluster: the options that Orthanc does not have. A real Orthanc ignores the section."""

import socket
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, model_validator

from cluster.config.options import Options, Secret, Text
from cluster.config.postgresql import checked_connection_uri
from cluster.errors import ConfigurationError


def _redis_url(url: SecretStr) -> SecretStr:
    if not url.get_secret_value().startswith(("redis://", "rediss://", "redis+socket://")):
        raise ValueError("must start with redis://, rediss:// or redis+socket://")
    return url


def _array(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


class ClusterSettings(Options):
    """Broker, identity and limits of one node; every limit is per ingest process unless it says otherwise."""

    redis_url: Annotated[Secret, AfterValidator(_redis_url)] = Field(
        default=SecretStr("redis://localhost:6379/0"), validation_alias="RedisUrl"
    )
    direct_connection_uri: Annotated[Secret, AfterValidator(checked_connection_uri)] | None = Field(
        default=None, validation_alias="DirectConnectionUri"
    )
    node_name: Text = Field(
        default_factory=socket.gethostname, min_length=1, max_length=64, validation_alias="NodeName"
    )
    ingest_processes: int = Field(default=1, ge=1, validation_alias="IngestProcesses")
    maximum_associations: int = Field(default=128, ge=1, validation_alias="MaximumAssociations")
    maximum_associations_per_peer: int = Field(default=0, ge=0, validation_alias="MaximumAssociationsPerPeer")
    read_only_users: Annotated[tuple[Text, ...], BeforeValidator(_array)] = Field(
        default=(), validation_alias="ReadOnlyUsers"
    )
    maximum_batch_size: int = Field(default=64, ge=1, validation_alias="MaximumBatchSize")
    maximum_batch_wait_milliseconds: int = Field(default=2, ge=0, validation_alias="MaximumBatchWaitMilliseconds")
    batches_in_flight: int = Field(default=2, ge=1, validation_alias="BatchesInFlight")
    memory_budget_megabytes: int = Field(default=256, ge=1, validation_alias="MemoryBudgetMegabytes")
    streaming_threshold_kilobytes: int = Field(default=1024, ge=1, validation_alias="StreamingThresholdKilobytes")
    transaction_time_budget_seconds: int = Field(default=30, ge=1, validation_alias="TransactionTimeBudgetSeconds")
    drain_seconds: int = Field(default=25, ge=0, validation_alias="DrainSeconds")
    automatic_upgrade: bool = Field(default=True, validation_alias="AutomaticUpgrade")
    incompatible_nodes: Literal["Wait", "Refuse"] = Field(default="Wait", validation_alias="IncompatibleNodes")
    back_fill_percent: int = Field(default=50, ge=1, le=100, validation_alias="BackFillPercent")
    allow_reset: bool = Field(default=False, validation_alias="AllowReset")
    housekeeping: bool = Field(default=True, validation_alias="Housekeeping")
    probe_port: int = Field(default=0, ge=0, le=65535, validation_alias="ProbePort")
    log_format: Literal["console", "json"] = Field(default="console", validation_alias="LogFormat")
    failpoints: Mapping[str, Text] = Field(default_factory=dict, validation_alias="Failpoints")

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.streaming_threshold_kilobytes > self.memory_budget_megabytes * 1024:
            raise ConfigurationError(
                "Cluster.StreamingThresholdKilobytes",
                "must not exceed Cluster.MemoryBudgetMegabytes: an instance below it is held in memory",
            )
        return self
