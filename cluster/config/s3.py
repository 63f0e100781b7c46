"""Section AwsS3Storage, the options of Orthanc's AWS S3 plugin; that the section is there means that it is used."""

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, model_validator

from cluster.config.options import Options, Secret, Text
from cluster.errors import ConfigurationError


def _root_path(path: str) -> str:
    if path.startswith("/") or any(part in ("", ".", "..") for part in path.rstrip("/").split("/") if path):
        raise ValueError("must be names with / between them, without one at the start")
    return path.rstrip("/")


def _endpoint(url: str) -> str:
    if url and not url.startswith(("http://", "https://")):
        raise ValueError("must start with http:// or https://")
    return url.rstrip("/")


def _off(value: Any) -> Any:
    if value not in (False, {}, {"Enable": False}):
        raise ValueError("is not served by this version and must stay off")
    return False


def _disabled(mode: str) -> str:
    if mode != "Disabled":
        raise ValueError("must be Disabled: no other is served")
    return mode


class S3Settings(Options):
    """How to reach a bucket. Empty keys leave the credentials to the environment (role, instance, web identity)."""

    bucket_name: Text = Field(default="", validation_alias="BucketName")
    region: Text = Field(default="us-east-1", validation_alias="Region")
    access_key: Secret = Field(default=SecretStr(""), validation_alias="AccessKey")
    secret_key: Secret = Field(default=SecretStr(""), validation_alias="SecretKey")
    endpoint: Annotated[Text, AfterValidator(_endpoint)] = Field(default="", validation_alias="Endpoint")
    virtual_addressing: bool = Field(default=True, validation_alias="VirtualAddressing")
    connection_timeout_seconds: int = Field(default=30, ge=1, validation_alias="ConnectionTimeout")
    request_timeout_seconds: int = Field(default=30, ge=1, validation_alias="RequestTimeout")
    root_path: Annotated[Text, AfterValidator(_root_path)] = Field(default="", validation_alias="RootPath")
    storage_structure: Literal["flat", "legacy"] = Field(default="flat", validation_alias="StorageStructure")
    enable_legacy_unknown_files: bool = Field(default=True, validation_alias="EnableLegacyUnknownFiles")
    use_transfer_manager: bool = Field(default=False, validation_alias="UseTransferManager")
    enable_aws_sdk_logs: bool = Field(default=False, validation_alias="EnableAwsSdkLogs")
    migration_from_file_system: Annotated[bool, BeforeValidator(_off)] = Field(
        default=False, validation_alias="MigrationFromFileSystemEnabled"
    )
    storage_encryption: Annotated[bool, BeforeValidator(_off)] = Field(
        default=False, validation_alias="StorageEncryption"
    )
    hybrid_mode: Annotated[Text, AfterValidator(_disabled)] = Field(default="Disabled", validation_alias="HybridMode")

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.model_fields_set and not self.bucket_name:
            raise ConfigurationError("AwsS3Storage.BucketName", "must be given")
        if bool(self.access_key.get_secret_value()) != bool(self.secret_key.get_secret_value()):
            raise ConfigurationError("AwsS3Storage.SecretKey", "belongs to AccessKey: give both or neither")
        return self

    @property
    def is_used(self) -> bool:
        """Whether attachments are in this bucket."""
        return bool(self.bucket_name)
