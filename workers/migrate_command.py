"""`orthanc-cluster migrate`: from one kind of index to the other, with a progress bar."""

from collections.abc import Sequence
from pathlib import Path

import click
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from cluster.config import load_settings
from cluster.failpoints import arm

_PATH = click.Path(path_type=Path)


@click.command()
@click.option("--config", "configuration", type=_PATH, multiple=True, help="Orthanc's JSON: a file or folder.")
@click.option("--from", "source", type=click.Choice(["sqlite"]), required=True, help="Index in IndexDirectory.")
@click.option("--to", "target", type=click.Choice(["postgresql"]), required=True, help="Index of section PostgreSQL.")
def migrate(configuration: Sequence[Path], source: str, target: str) -> None:
    """Move the index from SQLite to an empty PostgreSQL database; no node may run meanwhile.

    Ids and change numbers stay, and the files stay where they are. Every row is compared at the end; until then nobody
    serves the target. A run that was interrupted is gone on with by the same command.
    """
    from cluster.migration.run import migrate as move

    settings = load_settings(configuration)
    settings.postgresql.conninfo()
    arm(settings.cluster.failpoints)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns) as progress:
        tasks = {what: progress.add_task(f"rows {what}", total=None) for what in ("copied", "compared")}

        def tell(what: str, done: int, total: int) -> None:
            progress.update(tasks[what], completed=done, total=max(total, done))

        rows = move(settings, tell)
    click.echo(f"{rows} rows are the same in both; start nodes with the same configuration")
