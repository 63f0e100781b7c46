"""Short ways to load a configuration in these tests."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from cluster.config import Settings, load_settings
from cluster.errors import ConfigurationError

NO_FILES: tuple[Path, ...] = ()


def from_json(document: Mapping[str, Any]) -> Settings:
    """As if `document` were the only configuration."""
    return load_settings(NO_FILES, {"ORTHANC_JSON": json.dumps(document)})


def from_environment(**variables: str) -> Settings:
    return load_settings(NO_FILES, variables)


def refusal(document: Mapping[str, Any]) -> str:
    """The message with which `document` is refused."""
    with pytest.raises(ConfigurationError) as caught:
        from_json(document)
    return str(caught.value)
