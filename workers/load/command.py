"""``orthanc-cluster load``."""

import json
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from cluster.config import Settings, load_settings
from cluster.errors import ConfigurationError
from workers.load.fleet import SenderDied
from workers.load.options import LoadOptions
from workers.load.report import as_json, print_result, progress_bar
from workers.load.run import run_load
from workers.local.registry import find_by_dicom

CONFIGURATION_OF_UP = "orthanc.json"


def load_command(
    *,
    target: str,
    configuration: Sequence[Path] = (),
    data: Path | None = None,
    senders: int = 4,
    instances: int = 1000,
    size: str = "small",
    same_study: bool = False,
    called_aet: str | None = None,
    json_file: Path | None = None,
    ledger: Path | None = None,
    time_limit_seconds: float = 60.0,
    seed: int | None = None,
    count_orphans: bool = False,
) -> int:
    """Send, check, print; returns 0 if everything acknowledged is there, once and unchanged, and 1 if not.

    `target` is ``HOST:PORT[,HOST:PORT…]``.

    Raises:
        ConfigurationError: a wrong option, or a cluster that cannot be used; nothing was sent.
        Transient, DatabaseRefused: the database cannot be asked.
    """
    targets = [part.strip() for part in target.split(",")]
    if json_file is not None and not json_file.absolute().parent.is_dir():
        raise ConfigurationError("--json", f"{json_file.parent} is no folder")
    options = LoadOptions(
        targets=targets,
        settings=find_settings(configuration, data, targets),
        senders=senders,
        instances=instances,
        size=size,
        shared_studies=same_study,
        seed=seed,
        time_limit_seconds=time_limit_seconds,
        called_aet=called_aet,
        ledger=ledger,
        count_orphans=count_orphans,
    )
    console = Console()
    try:
        with progress_bar(console, instances) as progress:
            result = run_load(options, progress)
    except SenderDied as error:
        console.print(str(error), style="bold red", highlight=False)
        return 1
    if json_file is not None:
        json_file.write_text(json.dumps(as_json(result), indent=2, ensure_ascii=False) + "\n", "utf-8")
    print_result(result, console)
    return 0 if result.passed else 1


def find_settings(configuration: Sequence[Path], data: Path | None, targets: Sequence[str]) -> Settings:
    """The settings of the cluster behind `targets`: as given, else those of the running `up` that has such a door.

    Raises ConfigurationError.
    """
    if configuration and data is not None:
        raise ConfigurationError("--data", "cannot be given together with --config")
    if configuration:
        return load_settings(configuration)
    if data is None:
        data = next((folder for folder in map(find_by_dicom, targets) if folder is not None), None)
    if data is None:
        raise ConfigurationError(
            "--target",
            f"no `orthanc-cluster up` of this user has the door {targets[0]}, so the archive behind it is unknown:"
            " give --config FILE or --data DIR",
        )
    file = data / CONFIGURATION_OF_UP
    if not file.is_file():
        raise ConfigurationError("--data", f"{data} is not the data folder of an `orthanc-cluster up`")
    # The file of `up` is complete; this shell's environment may be meant for another cluster.
    return load_settings([file], environ={})
