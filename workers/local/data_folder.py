"""The data folder of `orthanc-cluster up`, as other commands see it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cluster.config import Settings, load_settings
from cluster.errors import ConfigurationError

CONFIGURATION = "orthanc.json"
"""What every process of the cluster was started with."""
ENDPOINTS = "endpoints.json"
"""Where a running cluster can be reached."""


def settings_of(data: Path, overrides: Mapping[str, Any] | None = None) -> Settings:
    """The settings of the cluster in `data`; the environment has no say, as it had none over its processes.

    Raises:
        ConfigurationError: `up` never ran on that folder.
    """
    file = data / CONFIGURATION
    if not file.is_file():
        raise ConfigurationError(
            "--data", f"{data} is not the data folder of an `orthanc-cluster up`: no {CONFIGURATION}"
        )
    return load_settings([file], environ={}, overrides=overrides)
