"""``orthanc-cluster load check``: ledgers of one run, from one machine or many, against the archive."""

import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from sqlite3 import DatabaseError, IntegrityError
from typing import Any

import click
from rich.console import Console

from cluster.errors import ConfigurationError
from workers.client_tls import tls_options
from workers.load.arguments import credentials_of, find_settings, look_at_files, thresholds_of, write_files
from workers.load.help import archive_options, result_options
from workers.load.ledger import Ledger
from workers.load.report import print_result
from workers.load.result import LoadResult, result_of
from workers.load.targets import parse_archive
from workers.load.thresholds import Thresholds
from workers.load.verify import Place

_PATH = click.Path(path_type=Path)


@click.command("check")
@click.argument("ledgers", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True, dir_okay=False))
@archive_options
@click.option("--called-aet", default="ORTHANC", show_default=True, help="AE title of a dicom:// archive.")
@click.option("--calling-aet", default="LOAD", show_default=True, help="Ours, towards a dicom:// archive.")
@tls_options
@click.option("--http-user", help="For HTTP doors; the password comes from --http-password-file.")
@click.option("--http-password-file", type=_PATH, help="File whose first line is the password of --http-user.")
@click.option("--merged", type=_PATH, help="Keep what the ledgers say together in this new SQLite file.")
@result_options
def check(ledgers: tuple[Path, ...], **given: Any) -> None:
    """Merge the ledgers of all parts of a run, and compare them with the archive.

    \b
    orthanc-cluster load check part-1.sqlite part-2.sqlite --archive http://pacs:8042 --report run.html

    The numbers are those of all parts together; a part whose ledger is not given counts as not acknowledged. Exit
    status as of `load`.
    """
    files = look_at_files(given)
    if given["merged"] is not None and given["merged"].exists():
        raise ConfigurationError("--merged", f"{given['merged']} must be a new file")
    archive = parse_archive(given["archive"]) if given["archive"] is not None else None
    settings = None
    if archive is None or given["configuration"] or given["data"] is not None:
        settings = find_settings(given["configuration"], given["data"], ())
    credentials = credentials_of(given["http_user"], given["http_password_file"])
    names = given["called_aet"], given["calling_aet"]
    place = Place(settings, archive, credentials, *names, tls=given["tls"], count_orphans=given["count_orphans"])
    with tempfile.TemporaryDirectory(prefix="orthanc-cluster-load-") as folder:
        merged = given["merged"] or Path(folder, "merged.sqlite")
        result = verify_ledgers(ledgers, merged, place, thresholds_of(given["threshold"], Thresholds()))
        console = Console()
        print_result(result, console)
        write_files(result, merged, "load", files)
    sys.exit(0 if result.passed else 1)


def verify_ledgers(ledgers: Sequence[Path], merged: Path, place: Place, thresholds: Thresholds) -> LoadResult:
    """Merge ledgers into a new file and compare it.

    Raises:
        ConfigurationError: they are not parts of one run, or the archive cannot be asked.
        ClusterError: the archive does not answer.
    """
    with place.opened() as verifier:
        verifier.look()
        whole = _merge(ledgers, merged)
        with Ledger(merged) as ledger:
            return result_of(
                ledger,
                verifier.verify(ledger),
                seed=int(whole["seed"]),
                planned=int(whole["instances"]),
                seconds=ledger.seconds(),
                thresholds=thresholds,
            )


def _merge(ledgers: Sequence[Path], merged: Path) -> dict[str, Any]:
    """Write what all of them say into a new file; what the run as a whole does."""
    path = ledgers[0]
    shutil.copyfile(path, merged)
    try:
        with Ledger(merged) as ledger:
            whole = _options(ledger, path)
            ledger.ended()
            for path in ledgers[1:]:
                with Ledger(path) as other:
                    _same_run(whole, _options(other, path), path)
                    other.ended()
                ledger.merge(path)
    except IntegrityError as error:
        raise ConfigurationError("LEDGERS", f"{path} holds what another holds too: is it given twice?") from error
    except DatabaseError as error:
        raise ConfigurationError("LEDGERS", f"{path} is no ledger of this version: {error}") from error
    return whole


def _options(ledger: Ledger, path: Path) -> dict[str, Any]:
    options = ledger.earlier_options()
    if options is None:
        raise ConfigurationError("LEDGERS", f"{path} holds no run")
    return options


def _same_run(one: dict[str, Any], other: dict[str, Any], path: Path) -> None:
    for name, value in one.items():
        if name != "part" and other.get(name) != value:
            raise ConfigurationError(
                "LEDGERS", f"{path} is of another run: its {name} is {other.get(name)}, where the first has {value}"
            )
