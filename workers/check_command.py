"""``orthanc-cluster check``: every row compared with every file, and the index with itself."""

import contextlib
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from cluster.config import Settings, load_settings
from cluster.database import Database
from cluster.errors import ConfigurationError, SchemaMismatch
from cluster.reconciliation.comparison import KEYS, Comparison, Options, ranges
from cluster.reconciliation.counts import compare_counts
from cluster.reconciliation.repair import Plan, Repair
from cluster.schema.install import cluster_is_current
from cluster.schema.revision import Finding as SchemaFinding
from cluster.schema.revision import observe
from cluster.schema.session import direct_connection
from cluster.storage.filesystem import FilesystemStorageArea
from workers.check_report import Report

_PATH = click.Path(path_type=Path)
_QUARANTINE = "quarantine"


@dataclass(frozen=True, slots=True)
class _Request:
    """What was asked for on the command line."""

    options: Options
    plan: Plan | None
    report: Path
    resume: bool


@click.command()
@click.option("--config", "configuration", type=_PATH, multiple=True, help="Orthanc's JSON: a file or folder.")
@click.option("--data", type=_PATH, help="Folder of an `orthanc-cluster up`, instead of --config.")
@click.option("--hash", "hashes", is_flag=True, help="Compute MD5s too: reads every byte of the archive.")
@click.option("--grace", type=click.FloatRange(min=0), default=3600, show_default=True, metavar="SECONDS",
              help="A younger file may still get its row.")  # fmt: skip
@click.option("--share", type=click.IntRange(1, 100), default=50, show_default=True,
              help="Percent of the time that may be worked.")  # fmt: skip
@click.option("--report", type=_PATH, default=Path("check.jsonl"), show_default=True, help="JSON lines, one a finding.")
@click.option("--resume", is_flag=True, help="Go on where the run that wrote the report was interrupted.")
@click.option("--repair", is_flag=True, help="Settle what can be; without it nothing is changed.")
@click.option("--quarantine", type=_PATH, help=f"Where a repair moves files without row to [default: {_QUARANTINE} in "
              "the storage directory].")  # fmt: skip
@click.option("--delete", is_flag=True, help="Delete files without row instead.")
@click.option("--delete-rows", is_flag=True, help="Delete rows without file too; an instance that has lost its bytes "
              "goes as a whole.")  # fmt: skip
@click.option("--at-most", type=click.IntRange(min=0), default=1000, show_default=True,
              help="Files and rows that a repair may take away; more look like a wrong configuration.")  # fmt: skip
def check(
    configuration: Sequence[Path],
    data: Path | None,
    hashes: bool,
    grace: float,
    share: int,
    report: Path,
    resume: bool,
    repair: bool,
    quarantine: Path | None,
    delete: bool,
    delete_rows: bool,
    at_most: int,
) -> None:
    """Compare every row with every file, and counts with what they count, beside running nodes.

    Changes nothing without --repair. Exit status: 0 nothing is wrong, or all of it was settled; 1 something is wrong;
    3 the database or the storage area says no.
    """
    if (delete or delete_rows or quarantine) and not repair:
        raise click.UsageError("--delete, --delete-rows and --quarantine go with --repair")
    if delete and quarantine:
        raise click.UsageError("give either --delete or --quarantine")
    settings = _settings(configuration, data)
    place = None if delete else quarantine or settings.storage_directory / _QUARANTINE
    request = _Request(
        Options(hashes=hashes, grace_seconds=grace, worked=_resting(share / 100)),
        Plan(place, delete_rows, at_most) if repair else None,
        report,
        resume,
    )
    sys.exit(0 if run_check(settings, request) else 1)


def run_check(settings: Settings, request: _Request) -> bool:
    """Whether nothing is wrong that was not settled."""
    console = Console()
    area = _area_of(settings)
    _require_revision(settings)
    database = Database(settings.postgresql)
    database.open()
    started = time.monotonic()
    repair = Repair(database, area, request.plan) if request.plan else None
    with contextlib.closing(database), Report(request.report, resume=request.resume) as report:
        comparison = Comparison(database, area, request.options)
        with _bar(Console(stderr=True)) as bar:
            _compare_files(database, comparison, report, repair, bar)
            task = bar.add_task("counts", total=None)
            for finding in compare_counts(database, repair=request.plan is not None, worked=request.options.worked):
                report.add(finding)
            bar.update(task, total=1, completed=1)
        report.end(comparison.seen)
    console.print(report.table(comparison.seen, time.monotonic() - started))
    if report.found.total():
        console.print(f"Each finding by name: {report.path}", markup=False, highlight=False, soft_wrap=True)
    if repair and repair.is_limited:
        console.print(
            f"More was found than --at-most {repair.left} allows to be taken away, and was left. If storage directory "
            "and database belong together, give a larger number.",
            soft_wrap=True,
        )
    return report.left == 0


def _compare_files(
    database: Database, comparison: Comparison, report: Report, repair: Repair | None, bar: Progress
) -> None:
    task = bar.add_task("rows and files", total=KEYS, completed=report.begin)
    for keys in ranges(database, report.begin):
        findings = comparison.compare(keys, lambda key: bar.update(task, completed=key))
        try:
            if repair:
                repair.settle(findings)
        finally:
            for finding in findings:
                report.add(finding)
        report.compared(keys.stop)


def _settings(configuration: Sequence[Path], data: Path | None) -> Settings:
    if data is None:
        return load_settings(configuration)
    if configuration:
        raise click.UsageError("give either --config or --data")
    from workers.local.data_folder import settings_of

    return settings_of(data)


def _area_of(settings: Settings) -> FilesystemStorageArea:
    if settings.postgresql.enable_storage:
        raise ConfigurationError(
            "PostgreSQL.EnableStorage",
            "attachments are in the database: there are no files to be compared with rows",
        )
    if settings.s3.is_used:
        raise ConfigurationError(
            "AwsS3Storage", "attachments are in a bucket: only a storage directory can be compared"
        )
    if not settings.storage_directory.is_dir():
        # A node would create it; here that would make a finding of every row.
        raise ConfigurationError("StorageDirectory", f"{settings.storage_directory} is no folder, or is not mounted")
    return FilesystemStorageArea(settings.storage_directory, sync=False)


def _require_revision(settings: Settings) -> None:
    name = settings.postgresql.schema_name
    with direct_connection(settings.postgresql) as connection:
        seen = observe(connection, name)
        if seen.finding is not SchemaFinding.EXACT:
            raise SchemaMismatch(seen.explain(name))
        if not cluster_is_current(connection, name):
            raise SchemaMismatch("no node of this version has been started on this database yet: start one first")


def _resting(share: float) -> Callable[[float], None]:
    return lambda seconds: time.sleep(seconds * (1 / share - 1))


def _bar(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
    )
