"""``orthanc-cluster load``."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from cluster.config import Settings, load_settings
from cluster.errors import ConfigurationError
from workers.load.fleet import SenderDied
from workers.load.options import LoadOptions, parse_targets
from workers.load.report import as_json, print_result, progress_bar
from workers.load.run import run_load
from workers.load.sender import Target
from workers.local.data_folder import settings_of
from workers.local.registry import find_by_dicom

_PATH = click.Path(path_type=Path)


@click.command("load")
@click.option("--target", required=True, metavar="HOST:PORT[,HOST:PORT…]", help="DICOM nodes; senders take turns.")
@click.option("--senders", type=int, default=4, show_default=True, help="Processes that send at the same time.")
@click.option("--instances", type=int, default=1000, show_default=True, help="Of all senders together.")
@click.option("--size", default="small", show_default=True, help="tiny: 3 KB, small: 30 KB, ct: 526 KB, mixed.")
@click.option("--same-study", is_flag=True, help="Half of the senders push parts of the same studies.")
@click.option("--called-aet", help="AE title of the nodes; the configured one if not given.")
@click.option("--config", "configuration", type=_PATH, multiple=True, help="Where database and storage area are.")
@click.option("--data", type=_PATH, help="Folder of an `orthanc-cluster up`, instead of --config.")
@click.option("--json", "json_file", type=_PATH, help="Write the result to this file.")
@click.option("--ledger", type=_PATH, help="Keep the ledger of what was acknowledged in this new SQLite file.")
@click.option("--time-limit", type=float, default=60.0, show_default=True, help="Seconds to try for one instance.")
@click.option("--seed", type=int, help="That of an earlier run, to send the same instances again.")
@click.option("--count-orphans", is_flag=True, help="Also count files without a row; walks the storage area.")
def load(
    target: str,
    configuration: Sequence[Path],
    data: Path | None,
    json_file: Path | None,
    same_study: bool,
    time_limit: float,
    **options: Any,
) -> None:
    """Send synthetic studies over C-STORE, then check each acknowledged instance in database and storage area.

    Exit status 0: everything sent was acknowledged and is there, once and unchanged; 1: not so; 2: nothing was sent.
    """
    targets = parse_targets(target)
    if json_file is not None and not json_file.absolute().parent.is_dir():
        raise ConfigurationError("--json", f"{json_file.parent} is no folder")
    load_options = LoadOptions(
        targets=targets,
        settings=find_settings(configuration, data, targets),
        shared_studies=same_study,
        time_limit_seconds=time_limit,
        **options,
    )
    console = Console()
    try:
        with progress_bar(console) as progress:
            result = run_load(load_options, progress)
    except SenderDied as error:
        console.print(str(error), style="bold red", highlight=False)
        sys.exit(1)
    if json_file is not None:
        json_file.write_text(json.dumps(as_json(result), indent=2, ensure_ascii=False) + "\n", "utf-8")
    print_result(result, console)
    sys.exit(0 if result.passed else 1)


def find_settings(configuration: Sequence[Path], data: Path | None, targets: Sequence[Target]) -> Settings:
    """The settings of the cluster behind `targets`: as given, else those of the running `up` that has such a door.

    Raises ConfigurationError.
    """
    if configuration and data is not None:
        raise ConfigurationError("--data", "cannot be given together with --config")
    if configuration:
        return load_settings(configuration)
    if data is None:
        data = next((folder for folder in map(find_by_dicom, map(str, targets)) if folder is not None), None)
    if data is None:
        raise ConfigurationError(
            "--target",
            f"no `orthanc-cluster up` of this user has the door {targets[0]}, so the archive behind it is unknown:"
            " give --config FILE or --data DIR",
        )
    return settings_of(data)
