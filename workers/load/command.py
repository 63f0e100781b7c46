"""``orthanc-cluster load``."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from cluster.config import Settings
from cluster.errors import ConfigurationError
from workers.client_tls import tls_options
from workers.load.arguments import (
    begin_of,
    credentials_of,
    find_settings,
    look_at_files,
    part_of,
    thresholds_of,
    write_files,
)
from workers.load.check_command import check
from workers.load.files import Catalogue, catalogue
from workers.load.fleet import SenderDied
from workers.load.help import Sectioned, archive_options, result_options
from workers.load.options import LoadOptions
from workers.load.plan import Slow
from workers.load.report import print_result, progress_bar
from workers.load.run import run_load
from workers.load.scenario import Scenario, read_scenario
from workers.load.scenarios_command import scenarios
from workers.load.targets import Target, parse_archive, parse_targets

_PATH = click.Path(path_type=Path)


@click.group("load", cls=Sectioned, invoke_without_command=True)
@click.option(
    "--target",
    metavar="DOOR[,DOOR…]",
    help="HOST:PORT for C-STORE, http://HOST:PORT for POST /instances, stow+http://… for STOW-RS; senders take turns.",
)
@click.option("--called-aet", help="AE title of the archive; the configured one, or ORTHANC.")
@click.option("--calling-aet", default="LOAD", show_default=True, help="AE title of the senders.")
@click.option("--http-user", help="For HTTP doors; the password comes from --http-password-file.")
@click.option("--http-password-file", type=_PATH, help="File whose first line is the password of --http-user.")
@click.option("--instances", type=int, help="Of all senders together.  [default: 1000, or each of --files once]")
@click.option("--size", help="tiny: 3 KB, small: 30 KB, ct: 526 KB, mixed.  [default: small]")
@click.option("--files", type=_PATH, multiple=True, help="Your own DICOM: a file or folder; sent under new UIDs.")
@click.option("--scenario", type=_PATH, help="YAML file, or one of ours by name; what is typed goes before.")
@click.option("--seed", type=int, help="That of an earlier run, to send the same instances again.")
@click.option("--senders", type=int, help="Associations at the same time.  [default: 4]")
@click.option("--processes", type=int, help="Processes that hold the senders.  [default: one each, at most 16]")
@click.option("--same-study", is_flag=True, default=None, help="Half of the senders push parts of the same studies.")
@click.option("--slow", metavar="PERCENT:KB", help="So many senders have a line of so many kilobytes a second.")
@click.option("--duration", type=float, help="Seconds that the phases of the scenario take, at the rates it says.")
@click.option("--rate-factor", type=float, default=1.0, help="Of the rates that the scenario says.  [default: 1]")
@click.option("--time-limit", type=float, default=60.0, show_default=True, help="Seconds to try for one instance.")
@click.option("--part", metavar="PART/PARTS", help="This machine's share, for instance 2/4; needs --seed.")
@click.option("--begin-at", metavar="TIME", help="When all parts begin, for instance 2026-01-31T14:00:00Z.")
@click.option("--ledger", type=_PATH, help="Keep the ledger of what was acknowledged in this new SQLite file.")
@click.option("--resume", is_flag=True, help="Go on with the run of --ledger, which was interrupted.")
@archive_options
@click.option("--no-check", is_flag=True, help="Only send; `load check LEDGER…` compares later.")
@result_options
@click.option("--metrics", multiple=True, metavar="URL", help="Prometheus page of a server, for the report.")
@tls_options
@click.pass_context
def load(context: click.Context, /, **given: Any) -> None:
    """Load-test any DICOM archive: send from many senders at once, then prove what the archive made of it.

    \b
    orthanc-cluster load --target pacs:104 --archive dicom://pacs:104 --senders 16 --instances 5000
    orthanc-cluster load --target pacs:104,http://pacs:8042 --archive http://pacs:8042 --scenario day-curve \\
        --duration 600 --report day.html --junit day.xml
    orthanc-cluster load --target pacs:104 --archive http://pacs:8042 --files /my/dicom

    Every instance that the archive acknowledged is looked for afterwards: it has to be there, once, with the bytes that
    were sent. The door of an `orthanc-cluster up` is found by its address; any other archive is named by --archive, or
    by the --config of its nodes.

    Exit status 0: everything sent was acknowledged and is there, within all thresholds; 1: not so; 2: nothing was sent;
    3: the database says no.
    """
    if context.invoked_subcommand is not None:
        return
    if given["target"] is None:
        raise ConfigurationError("--target", "is missing: HOST:PORT, http://HOST:PORT or stow+http://…; see --help")
    files = look_at_files(given)
    scenario = read_scenario(given["scenario"]) if given["scenario"] is not None else Scenario("load")
    console = Console()
    options = _options(given, scenario, console)
    try:
        with progress_bar(console) as progress:
            result = run_load(options, progress)
    except SenderDied as error:
        console.print(str(error), style="bold red", highlight=False)
        sys.exit(1)
    print_result(result, console)
    write_files(result, options.ledger, scenario.name, files)
    if result.acknowledged < result.planned and options.ledger is not None:
        console.print("the same command with --resume goes on", highlight=False)
    sys.exit(0 if result.passed else 1)


load.add_command(check)
load.add_command(scenarios)


def _options(given: Mapping[str, Any], scenario: Scenario, console: Console) -> LoadOptions:
    targets = parse_targets(given["target"])
    archive = parse_archive(given["archive"]) if given["archive"] is not None else None
    # A page is made from the ledger, so there has to be one.
    ledger = given["ledger"] or (given["report"].with_suffix(".sqlite") if given["report"] is not None else None)
    files = _files(given, console)
    instances = given["instances"]
    if instances is None and scenario.pace is None and scenario.instances is None and files is not None:
        instances = len(files.files)
    said: dict[str, Any] = {
        "senders": given["senders"] if given["senders"] is not None else scenario.senders,
        "instances": instances if instances is not None else scenario.instances,
        "size": given["size"] if given["size"] is not None else scenario.kinds,
        "shared_studies": given["same_study"] if given["same_study"] is not None else scenario.shared_studies,
    }
    part, parts = part_of(given["part"])
    pace = scenario.pace if given["instances"] is None else None
    if pace is None and (given["duration"] is not None or given["rate_factor"] != 1.0):
        raise ConfigurationError("--duration", "and --rate-factor are for a --scenario with phases")
    if not (given["duration"] is None or given["duration"] > 0) or given["rate_factor"] <= 0:
        raise ConfigurationError("--duration", "and --rate-factor must be more than 0")
    return LoadOptions(
        targets=targets,
        settings=_settings(given, targets, archive),
        archive=archive,
        check=not given["no_check"],
        processes=given["processes"],
        part=part,
        parts=parts,
        begin_at=begin_of(given["begin_at"]),
        files=files,
        pace=pace.scaled(given["duration"], given["rate_factor"]) if pace is not None else None,
        send_again_percent=scenario.send_again_percent,
        overwrite_percent=scenario.overwrite_percent,
        slow=_slow(given["slow"]) or scenario.slow,
        queries_per_second=scenario.queries_per_second,
        deletes_per_second=scenario.deletes_per_second,
        thresholds=thresholds_of(given["threshold"], scenario.thresholds),
        metrics=given["metrics"],
        credentials=credentials_of(given["http_user"], given["http_password_file"]),
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


def _files(given: Mapping[str, Any], console: Console) -> Catalogue | None:
    if not given["files"]:
        return None
    with console.status("looking at files"):
        found = catalogue(given["files"])
    console.print(f"{len(found.files):,} files, sent under new UIDs", highlight=False)
    if found.skipped:
        console.print(f"{len(found.skipped):,} are not sent; {found.skipped[0]}", style="yellow", highlight=False)
    return found


def _slow(text: str | None) -> Slow | None:
    if text is None:
        return None
    percent, _, kilobytes = text.partition(":")
    try:
        slow = Slow(float(percent), 1000 * float(kilobytes))
    except ValueError:
        raise ConfigurationError("--slow", f"{text!r} is not PERCENT:KB, for instance 25:64") from None
    if not 0 <= slow.percent <= 100 or slow.bytes_per_second <= 0:
        raise ConfigurationError("--slow", f"{text}: needs 0 to 100 percent, and more than 0 KB")
    return slow


def _settings(given: Mapping[str, Any], targets: tuple[Target, ...], archive: Target | None) -> Settings | None:
    if (archive is not None or given["no_check"]) and not given["configuration"] and given["data"] is None:
        return None
    return find_settings(given["configuration"], given["data"], targets)
