"""Settings, read once from Orthanc's JSON files and the environment (interop/config.md).

Nothing outside this package looks at the environment; nothing inside it opens a connection.
"""

from cluster.config.cluster_section import ClusterSettings
from cluster.config.describe import describe
from cluster.config.dicom import DicomSettings
from cluster.config.http import HttpSettings
from cluster.config.load import load_document, load_settings
from cluster.config.postgresql import PostgreSQLSettings
from cluster.config.process_environment import (
    environment_without_settings,
    forget_shared_metrics,
    share_metrics_between_processes,
    shared_metrics_folder,
    tracing_variables,
)
from cluster.config.s3 import S3Settings
from cluster.config.settings import Settings

__all__ = [
    "ClusterSettings",
    "DicomSettings",
    "HttpSettings",
    "PostgreSQLSettings",
    "S3Settings",
    "Settings",
    "describe",
    "environment_without_settings",
    "forget_shared_metrics",
    "load_document",
    "load_settings",
    "share_metrics_between_processes",
    "shared_metrics_folder",
    "tracing_variables",
]
