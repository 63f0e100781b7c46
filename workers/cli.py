"""The command `orthanc-cluster`: one sub-command per role.

Exit status: 0 done; 1 something was lost, refused or could not be finished; 2 the command line or the configuration
is wrong, and nothing was opened; 3 the database, broker or storage area says no.

Imports happen inside the sub-commands, so that `--help` is quick and a node of several processes can prepare its
metrics before anything counts.
"""

import contextlib
import functools
import importlib
import logging
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, ClassVar
from uuid import UUID

import click

from cluster.config import Settings, load_settings, share_metrics_between_processes
from cluster.errors import ClusterError, ConfigurationError

_PATH = click.Path(path_type=Path)
_config = click.option("--config", "configuration", type=_PATH, multiple=True, help="Orthanc's JSON: a file or folder.")


def main() -> None:
    """Run the command line; errors become one line and an exit status."""
    try:
        _group(standalone_mode=False)
    except click.Abort:
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except ConfigurationError as error:
        _tell(error)
        sys.exit(2)
    except ClusterError as error:
        _tell(error)
        sys.exit(3)


def _tell(error: ClusterError) -> None:
    """The last line on standard error, in the form of those before it."""
    from workers.logs import is_for_machines

    if is_for_machines():
        logging.getLogger(__name__).critical("%s", error)
    else:
        click.echo(f"orthanc-cluster: {error}", err=True)


class _Lazy(click.Group):
    """Commands that live beside what they do are imported when they are asked for."""

    _elsewhere: ClassVar[dict[str, str]] = {
        "check": "workers.check_command",
        "echo": "workers.echo_command",
        "load": "workers.load.command",
        "prove": "workers.prove.command",
        "migrate": "workers.migrate_command",
        "schema": "workers.schema_command",
    }

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted([*super().list_commands(ctx), *self._elsewhere])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in self._elsewhere:
            command: click.Command = getattr(importlib.import_module(self._elsewhere[cmd_name]), cmd_name)
            return command
        return super().get_command(ctx, cmd_name)


@click.group(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(version("orthanc-cluster"), prog_name="orthanc-cluster")
def _group() -> None:
    """A DICOM archive's ingest side that scales sideways, on Orthanc's own PostgreSQL index."""


def _configuration_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """--config and --data, which say where the settings are; the command gets `settings`."""

    @_config
    @click.option("--data", type=_PATH, help="Folder of an `orthanc-cluster up`, instead of --config.")
    @functools.wraps(command)
    def with_settings(configuration: Sequence[Path], data: Path | None, **options: Any) -> Any:
        return command(settings=_settings(configuration, data), **options)

    return with_settings


def _settings(configuration: Sequence[Path], data: Path | None, overrides: Mapping[str, Any] | None = None) -> Settings:
    if data is None:
        return load_settings(configuration, overrides=overrides)
    if configuration:
        raise click.UsageError("give either --config or --data")
    from workers.local.data_folder import settings_of

    return settings_of(data, overrides=overrides)


def _backstage_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """What processes without clients have in common; the command gets `settings` and `verbose`."""

    @_config
    @click.option("--data", type=_PATH, help="Folder of an `orthanc-cluster up`, instead of --config.")
    @click.option("--http-port", type=int, help="Instead of HttpPort.")
    @click.option("--name", help="Instead of Cluster.NodeName.")
    @click.option("--verbose", is_flag=True, help="Log more.")
    @functools.wraps(command)
    def with_settings(
        configuration: Sequence[Path], data: Path | None, http_port: int | None, name: str | None, **options: Any
    ) -> Any:
        overrides: dict[str, Any] = {"HttpPort": http_port} if http_port is not None else {}
        if name:
            overrides["Cluster"] = {"NodeName": name}
        return command(settings=_settings(configuration, data, overrides), **options)

    return with_settings


# Roles of a node ------------------------------------------------------------------------------------------------------


@_group.command()
@_config
@click.option("--dicom-port", type=int, help="Instead of DicomPort.")
@click.option("--http-port", type=int, help="Instead of HttpPort.")
@click.option("--name", help="Instead of Cluster.NodeName.")
@click.option("--verbose", is_flag=True, help="Log more.")
def ingest(
    configuration: Sequence[Path], dicom_port: int | None, http_port: int | None, name: str | None, verbose: bool
) -> None:
    """Run one ingest node: C-STORE, HTTP uploads, reads, housekeeping."""
    from workers.logs import log_configuration, set_up_logging

    overrides = {"DicomPort": dicom_port, "HttpPort": http_port, "Cluster": {"NodeName": name} if name else None}
    settings = load_settings(configuration, overrides={key: value for key, value in overrides.items() if value})
    set_up_logging(settings, verbose=verbose)
    log_configuration(settings)
    if settings.cluster.ingest_processes > 1:
        if not settings.postgresql.enable_index:
            raise ConfigurationError(
                "Cluster.IngestProcesses", "must be 1 unless PostgreSQL.EnableIndex is true: SQLite serves one process"
            )
        from workers.prefork import serve_in_processes

        sys.exit(serve_in_processes(settings))
    from workers import restart
    from workers.node import serve

    if serve(settings):
        restart.begin_anew()


@_group.command()
@click.option("--processes", type=click.IntRange(min=1), default=2, show_default=True, help="Jobs and files at a time.")
@_backstage_options
def worker(settings: Settings, processes: int, verbose: bool) -> None:
    """Run one Celery worker: jobs, bulk imports; on HttpPort probes and metrics."""
    from workers.logs import log_configuration, set_up_logging

    settings.postgresql.conninfo()  # Celery's workers are several processes
    set_up_logging(settings, verbose=verbose)
    log_configuration(settings)
    with tempfile.TemporaryDirectory(prefix="orthanc-cluster-metrics-") as folder:
        share_metrics_between_processes(folder)
        from workers.worker import serve  # only now: this imports prometheus_client

        sys.exit(serve(settings, processes))


@_group.command()
@_backstage_options
def housekeeping(settings: Settings, verbose: bool) -> None:
    """Keep house for the whole cluster, or stand by; on HttpPort probes and metrics."""
    from workers.housekeeper import serve
    from workers.logs import log_configuration, set_up_logging

    set_up_logging(settings, verbose=verbose)
    log_configuration(settings)
    serve(settings)


@_group.command()
@_configuration_options
def nodes(settings: Settings) -> None:
    """List the processes that use the index: alive, ready or why not, and what they can serve."""
    from workers.nodes_command import list_nodes

    list_nodes(settings)


# One machine ----------------------------------------------------------------------------------------------------------


@_group.command()
@click.option("--nodes", type=click.IntRange(1, 64), default=2, show_default=True, help="Ingest nodes.")
@click.option("--data", type=_PATH, default=Path("orthanc-data"), show_default=True, help="Folder for everything.")
@_config
@click.option("--http-port", type=click.IntRange(1, 65535), help="Port of the first node; the others follow.")
@click.option("--dicom-port", type=click.IntRange(1, 65535), help="Port of the first node; the others follow.")
def up(nodes: int, data: Path, configuration: Sequence[Path], http_port: int | None, dicom_port: int | None) -> None:
    """Run a whole cluster on this machine until Ctrl-C; PostgreSQL and Redis included unless configured."""
    from workers.local.cluster import Options
    from workers.local.up import run_up

    run_up(Options(data, nodes, configuration, http_port, dicom_port))


@_group.command()
@click.option("--instances", type=click.IntRange(min=16), default=2000, show_default=True, help="Synthetic instances.")
@click.option("--senders", type=click.IntRange(min=2), default=16, show_default=True, help="Concurrent senders.")
@click.option("--keep", type=_PATH, help="Folder to keep the cluster's data in, instead of a temporary one.")
def demo(instances: int, senders: int, keep: Path | None) -> None:
    """Two nodes, many senders, one node killed in the middle: nothing lost, nothing doubled."""
    from workers.demo import run_demo

    sys.exit(run_demo(instances=instances, senders=senders, keep=keep))


# Clients --------------------------------------------------------------------------------------------------------------


@_group.command(name="import")
@click.argument("paths", nargs=-1, type=_PATH)
@_configuration_options
@click.option("--report", type=_PATH, help="Where refused files are listed; in the working folder by default.")
@click.option("--resume", type=click.UUID, help="Job id of an import that was interrupted, instead of paths.")
def import_(settings: Settings, paths: Sequence[Path], report: Path | None, resume: UUID | None) -> None:
    """Take in folders, files and ZIP archives through the Celery workers."""
    from cluster.coordinator.gate import Gate
    from workers.import_command import import_files
    from workers.logs import set_up_logging

    set_up_logging(settings)
    with contextlib.closing(Gate(settings)) as gate:
        if gate.wait_until_ready():
            sys.exit(import_files(settings, paths, report=report, resume=resume))
