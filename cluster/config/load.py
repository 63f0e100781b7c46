"""From paths and environment to Settings."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cluster.config.cluster_section import ClusterSettings
from cluster.config.dicom import DicomSettings
from cluster.config.environment import merge, read_environment
from cluster.config.files import configuration_files, read_files, storage_base
from cluster.config.http import HttpSettings
from cluster.config.json_text import JsonObject
from cluster.config.options import Options, validated
from cluster.config.postgresql import PostgreSQLSettings
from cluster.config.s3 import S3Settings
from cluster.config.settings import Settings
from cluster.config.unserved import UnservedOptions, refuse_unserved


def load_settings(
    paths: Sequence[Path],
    environ: Mapping[str, str] | None = None,
    *,
    overrides: Mapping[str, Any] | None = None,
    secrets_folder: Path = Path("/run/secrets"),
) -> Settings:
    """The settings that files and environment give; without either, all defaults.

    `paths` are files or folders. `environ` is this process's environment if not given; it wins over the files.
    `overrides` has the form of a configuration (``{"HttpPort": 8043}``), comes from the command line and wins over
    both. `secrets_folder` is where variables with ``_SECRET`` find their files. Raises ConfigurationError.
    """
    document = load_document(paths, environ, overrides=overrides, secrets_folder=secrets_folder)
    refuse_unserved(validated(UnservedOptions, _own(UnservedOptions, document)))
    postgresql = validated(PostgreSQLSettings, document.get("PostgreSQL", {}), "PostgreSQL")
    own_section = validated(ClusterSettings, document.get("Cluster", {}), "Cluster")
    parts = {
        "files": configuration_files(paths),
        "dicom": validated(DicomSettings, _own(DicomSettings, document)),
        "http": validated(HttpSettings, _own(HttpSettings, document)),
        "postgresql": postgresql.with_direct_connection(own_section.direct_connection_uri),
        "s3": validated(S3Settings, document.get("AwsS3Storage", {}), "AwsS3Storage"),
        "cluster": own_section,
    }
    settings = validated(Settings, {**_own(Settings, document), **parts}, by_name=True)
    base = storage_base(paths)
    certificates = {"dicom": settings.dicom.with_paths_below(base), "http": settings.http.with_paths_below(base)}
    return settings.with_paths_below(base).model_copy(update=certificates)


def load_document(
    paths: Sequence[Path],
    environ: Mapping[str, str] | None = None,
    *,
    overrides: Mapping[str, Any] | None = None,
    secrets_folder: Path = Path("/run/secrets"),
) -> JsonObject:
    """The configuration as one JSON object, before anything is checked; arguments as for `load_settings`."""
    environ = dict(os.environ) if environ is None else environ
    document = merge(read_files(configuration_files(paths), environ), read_environment(environ, secrets_folder))
    return merge(document, overrides or {})


def _own(model: type[Options], document: JsonObject) -> JsonObject:
    """The options of `model` among all top-level keys, of which the others belong to somebody else."""
    return {key: document[key] for key in model.by_key() if key in document}
