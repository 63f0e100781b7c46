"""``orthanc-cluster load``."""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from cluster.config import Settings, load_settings
from cluster.errors import ConfigurationError
from workers.client_tls import tls_options
from workers.load.fleet import SenderDied
from workers.load.junit import junit
from workers.load.ledger import Ledger
from workers.load.options import LoadOptions
from workers.load.page import page
from workers.load.report import as_json, print_result, progress_bar
from workers.load.run import LoadResult, run_load
from workers.load.scenario import Scenario, read_scenario
from workers.load.targets import Target, parse_targets
from workers.load.thresholds import Thresholds
from workers.load.transports import Credentials
from workers.local.data_folder import settings_of
from workers.local.registry import find_by_dicom

_PATH = click.Path(path_type=Path)


@click.command("load")
@click.option(
    "--target",
    required=True,
    metavar="DOOR[,DOOR…]",
    help="HOST:PORT for C-STORE, http://HOST:PORT for POST /instances, stow+http://… for STOW-RS; senders take turns.",
)
@click.option("--scenario", type=_PATH, help="YAML file: mix of studies, phases, thresholds; options here go before.")
@click.option("--senders", type=int, help="Processes that send at the same time.  [default: 4]")
@click.option("--instances", type=int, help="Of all senders together.  [default: 1000]")
@click.option("--size", help="tiny: 3 KB, small: 30 KB, ct: 526 KB, mixed.  [default: small]")
@click.option("--same-study", is_flag=True, default=None, help="Half of the senders push parts of the same studies.")
@click.option("--called-aet", help="AE title of the nodes; the configured one if not given.")
@click.option("--calling-aet", default="LOAD", show_default=True, help="AE title of the senders.")
@click.option("--config", "configuration", type=_PATH, multiple=True, help="Where database and storage area are.")
@click.option("--data", type=_PATH, help="Folder of an `orthanc-cluster up`, instead of --config.")
@click.option("--archive", metavar="URL", help="Any Orthanc: check over its REST API instead of in its database.")
@click.option("--http-user", help="For HTTP doors; the password comes from --http-password-file.")
@click.option("--http-password-file", type=_PATH, help="File whose first line is the password of --http-user.")
@click.option("--metrics", multiple=True, metavar="URL", help="Prometheus page of a server, for the report.")
@click.option("--json", "json_file", type=_PATH, help="Write the result to this file.")
@click.option("--report", type=_PATH, help="Write a page with plots to this HTML file.")
@click.option("--junit", "junit_file", type=_PATH, help="Write the verdict to this XML file, for CI.")
@click.option("--ledger", type=_PATH, help="Keep the ledger of what was acknowledged in this new SQLite file.")
@click.option("--resume", is_flag=True, help="Go on with the run of --ledger, which was interrupted.")
@click.option("--time-limit", type=float, default=60.0, show_default=True, help="Seconds to try for one instance.")
@click.option("--seed", type=int, help="That of an earlier run, to send the same instances again.")
@click.option("--threshold", multiple=True, metavar="NAME=VALUE", help="p99-milliseconds=500 and the like, see README.")
@click.option("--count-orphans", is_flag=True, help="Also count files without a row; walks the storage area.")
@tls_options
def load(**given: Any) -> None:
    """Send synthetic studies, then check each acknowledged instance in database and storage area, or over REST.

    Exit status 0: everything sent was acknowledged and is there, once and unchanged, within all thresholds; 1: not
    so; 2: nothing was sent.
    """
    files = {"--json": given["json_file"], "--report": given["report"], "--junit": given["junit_file"]}
    for name, file in files.items():
        if file is not None and not file.absolute().parent.is_dir():
            raise ConfigurationError(name, f"{file.parent} is no folder")
    scenario = read_scenario(given["scenario"]) if given["scenario"] is not None else Scenario("load")
    options = _options(given, scenario)
    console = Console()
    try:
        with progress_bar(console) as progress:
            result = run_load(options, progress)
    except SenderDied as error:
        console.print(str(error), style="bold red", highlight=False)
        sys.exit(1)
    print_result(result, console)
    _write(result, options, scenario.name, files)
    if result.acknowledged < result.planned and options.ledger is not None:
        console.print("the same command with --resume goes on", highlight=False)
    sys.exit(0 if result.passed else 1)


def _options(given: Mapping[str, Any], scenario: Scenario) -> LoadOptions:
    targets = parse_targets(given["target"])
    archive = _archive(given["archive"])
    # A page is made from the ledger, so there has to be one.
    ledger = given["ledger"] or (given["report"].with_suffix(".sqlite") if given["report"] is not None else None)
    said: dict[str, Any] = {
        "senders": given["senders"] if given["senders"] is not None else scenario.senders,
        "instances": given["instances"] if given["instances"] is not None else scenario.instances,
        "size": given["size"] if given["size"] is not None else scenario.kinds,
        "shared_studies": given["same_study"] if given["same_study"] is not None else scenario.shared_studies,
    }
    return LoadOptions(
        targets=targets,
        settings=_settings(given, targets, archive),
        archive=archive,
        pace=scenario.pace if given["instances"] is None else None,
        send_again_percent=scenario.send_again_percent,
        queries_per_second=scenario.queries_per_second,
        thresholds=_thresholds(given["threshold"], scenario.thresholds),
        metrics=given["metrics"],
        credentials=_credentials(given["http_user"], given["http_password_file"]),
        tls=given["tls"],
        time_limit_seconds=given["time_limit"],
        ledger=ledger,
        resume=given["resume"],
        called_aet=given["called_aet"],
        calling_aet=given["calling_aet"],
        seed=given["seed"],
        count_orphans=given["count_orphans"],
        **{name: value for name, value in said.items() if value is not None},
    )


def _archive(url: str | None) -> Target | None:
    if url is None:
        return None
    (target,) = parse_targets(url)
    if not target.url or target.stow:
        raise ConfigurationError("--archive", f"{url!r} is not http://HOST:PORT or https://HOST:PORT")
    return target


def _settings(given: Mapping[str, Any], targets: Sequence[Target], archive: Target | None) -> Settings | None:
    if archive is not None and not given["configuration"] and given["data"] is None:
        return None
    return find_settings(given["configuration"], given["data"], targets)


def _credentials(user: str | None, password_file: Path | None) -> Credentials | None:
    if user is None and password_file is None:
        return None
    if user is None or password_file is None:
        raise ConfigurationError("--http-user", "and --http-password-file belong together")
    try:
        return Credentials(user, password_file.read_text("utf-8").splitlines()[0])
    except (OSError, IndexError) as error:
        raise ConfigurationError("--http-password-file", f"{password_file} cannot be read or is empty") from error


def _thresholds(given: Sequence[str], of_scenario: Thresholds) -> Thresholds:
    values: dict[str, float] = {}
    for each in given:
        name, _, value = each.partition("=")
        try:
            values[name] = float(value)
        except ValueError:
            raise ConfigurationError("--threshold", f"{each!r} is not NAME=NUMBER") from None
    read = Thresholds.read(values)
    return replace(of_scenario, **{name.replace("-", "_"): getattr(read, name.replace("-", "_")) for name in values})


def _write(result: LoadResult, options: LoadOptions, name: str, files: Mapping[str, Path | None]) -> None:
    document = as_json(result)
    if (file := files["--json"]) is not None:
        file.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", "utf-8")
    if (file := files["--junit"]) is not None:
        file.write_text(junit(document, name), "utf-8")
    if (file := files["--report"]) is not None:
        assert options.ledger is not None
        with Ledger(options.ledger) as ledger:
            file.write_text(page(document, ledger, name), "utf-8")


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
            " give --config FILE, --data DIR, or --archive URL",
        )
    return settings_of(data)
