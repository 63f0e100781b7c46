"""All settings of a node, as the rest of the program sees them."""

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from cluster.config.cluster_section import ClusterSettings
from cluster.config.dicom import DicomSettings
from cluster.config.http import HttpSettings
from cluster.config.options import Folder, Options, Text
from cluster.config.postgresql import PostgreSQLSettings
from cluster.config.s3 import S3Settings
from cluster.config.user_types import UserContentType, UserMetadata
from cluster.errors import ConfigurationError

# interop/tags.md, "DefaultEncoding values".
Encoding = Literal[
    "Ascii",
    "Utf8",
    "Latin1",
    "Latin2",
    "Latin3",
    "Latin4",
    "Latin5",
    "Cyrillic",
    "Windows1251",
    "Arabic",
    "Greek",
    "Hebrew",
    "Thai",
    "Japanese",
    "Chinese",
    "JapaneseKanji",
    "Korean",
    "SimplifiedChinese",
]


def _overwrite(value: Any) -> Any:
    """A boolean is how releases before 1.12.5 wrote it."""
    if isinstance(value, bool):
        return "Always" if value else "Never"
    return value


OverwriteInstances = Annotated[Literal["Never", "Always", "IfChanged"], BeforeValidator(_overwrite)]


def _storage_directory(data: dict[str, Any]) -> Path:
    return Path(data.get("storage_directory", "OrthancStorage"))


class Settings(Options):
    """The whole configuration. `files` are the configuration files that were read, in order."""

    files: tuple[Path, ...] = ()
    name: Text = Field(default="MyOrthanc", validation_alias="Name")
    storage_directory: Folder = Field(default=Path("OrthancStorage"), validation_alias="StorageDirectory")
    index_directory: Folder = Field(default_factory=_storage_directory, validation_alias="IndexDirectory")
    default_encoding: Encoding = Field(default="Latin1", validation_alias="DefaultEncoding")
    overwrite_instances: OverwriteInstances = Field(default="Never", validation_alias="OverwriteInstances")
    storage_compression: bool = Field(default=False, validation_alias="StorageCompression")
    sync_storage_area: bool = Field(default=True, validation_alias="SyncStorageArea")
    store_md5_for_attachments: bool = Field(default=True, validation_alias="StoreMD5ForAttachments")
    check_revisions: bool = Field(default=False, validation_alias="CheckRevisions")
    maximum_storage_size: int = Field(default=0, ge=0, validation_alias="MaximumStorageSize")
    maximum_patient_count: int = Field(default=0, ge=0, validation_alias="MaximumPatientCount")
    maximum_storage_mode: Literal["Recycle", "Reject"] = Field(default="Recycle", validation_alias="MaximumStorageMode")
    stable_age_seconds: int = Field(default=60, validation_alias="StableAge")
    jobs_history_size: int = Field(default=10, ge=0, validation_alias="JobsHistorySize")
    media_archive_size: int = Field(default=1, ge=0, validation_alias="MediaArchiveSize")
    user_metadata: UserMetadata = Field(default_factory=dict, validation_alias="UserMetadata")
    user_content_type: UserContentType = Field(default_factory=dict, validation_alias="UserContentType")
    dicom: DicomSettings = Field(default_factory=DicomSettings)
    http: HttpSettings = Field(default_factory=HttpSettings)
    postgresql: PostgreSQLSettings = Field(default_factory=PostgreSQLSettings)
    s3: S3Settings = Field(default_factory=S3Settings)
    cluster: ClusterSettings = Field(default_factory=ClusterSettings)

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.http.server_enabled and self.dicom.server_enabled and self.http.port == self.dicom.port:
            raise ConfigurationError("HttpPort", "must differ from DicomPort")
        if self.cluster.probe_port in (self.http.port, self.dicom.port):
            raise ConfigurationError("Cluster.ProbePort", "must differ from HttpPort and DicomPort")
        if not set(self.cluster.read_only_users) <= self.http.registered_users.keys():
            raise ConfigurationError("Cluster.ReadOnlyUsers", "must name users of RegisteredUsers")
        if self.check_revisions and not self.store_md5_for_attachments:
            raise ConfigurationError("CheckRevisions", "needs StoreMD5ForAttachments, as an ETag names the MD5")
        if self.s3.is_used and self.postgresql.enable_storage:
            raise ConfigurationError("PostgreSQL.EnableStorage", "excludes AwsS3Storage: there is one storage area")
        if self.postgresql.lock and self.cluster.ingest_processes > 1:
            raise ConfigurationError("PostgreSQL.Lock", "must be false where Cluster.IngestProcesses is more than 1")
        return self
