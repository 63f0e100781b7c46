"""Settings for tests, made the way a process makes them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cluster.config import Settings, load_settings
from tests.support.pgbouncer import direct_connection, through


def settings_for(
    database_uri: str = "postgresql://nobody@127.0.0.1:1/none",
    storage_directory: Path = Path("OrthancStorage"),
    *,
    postgresql: Mapping[str, Any] | None = None,
    cluster: Mapping[str, Any] | None = None,
    **options: Any,
) -> Settings:
    """A node's settings; `postgresql` and `cluster` hold keys of those sections, `options` top-level keys.

    `database_uri` may be ``sqlite:<IndexDirectory>``.
    """
    index: dict[str, Any] = {
        "PostgreSQL": {"EnableIndex": True, "ConnectionUri": through(database_uri)} | dict(postgresql or {})
    }
    if database_uri.startswith("sqlite:"):
        index = {"IndexDirectory": database_uri.removeprefix("sqlite:")}
    return load_settings(
        [],
        environ={},
        overrides={
            "StorageDirectory": str(storage_directory),
            **index,
            "Cluster": {"NodeName": "test-node"} | direct_connection(database_uri) | dict(cluster or {}),
        }
        | options,
    )
