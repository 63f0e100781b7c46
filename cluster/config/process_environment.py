"""What a process tells its libraries and its children through the environment."""

import os
from pathlib import Path


def share_metrics_between_processes(folder: str) -> None:
    """Make prometheus_client keep its values in files of `folder`, one set a process.

    Must be called before prometheus_client is imported: it looks at the environment once.
    """
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder


def shared_metrics_folder() -> Path:
    """The folder given to `share_metrics_between_processes`."""
    return Path(os.environ["PROMETHEUS_MULTIPROC_DIR"])


def forget_shared_metrics() -> None:
    """Undo `share_metrics_between_processes`, for what this process executes next."""
    os.environ.pop("PROMETHEUS_MULTIPROC_DIR", None)


def tracing_variables() -> dict[str, str]:
    """What OpenTelemetry's own variables say, those that are not empty; it reads them itself.

    https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/
    """
    return {name: value for name, value in os.environ.items() if name.startswith("OTEL_") and value}


def environment_without_settings() -> dict[str, str]:
    """This process's environment for a child that gets all its settings from a file."""
    return {name: value for name, value in os.environ.items() if not name.startswith("ORTHANC_")}
