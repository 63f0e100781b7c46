"""What is typed after ``orthanc-cluster load``, read into what it means; and the files that a run leaves."""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from cluster.config import Settings, load_settings
from cluster.errors import ConfigurationError
from workers.load.junit import junit
from workers.load.ledger import Ledger
from workers.load.page import page
from workers.load.report import as_json
from workers.load.result import LoadResult
from workers.load.targets import Target
from workers.load.thresholds import Thresholds
from workers.load.transports import Credentials
from workers.local.data_folder import settings_of
from workers.local.registry import find_by_dicom


def credentials_of(user: str | None, password_file: Path | None) -> Credentials | None:
    """Both or neither. Raises ConfigurationError."""
    if user is None and password_file is None:
        return None
    if user is None or password_file is None:
        raise ConfigurationError("--http-user", "and --http-password-file belong together")
    try:
        return Credentials(user, password_file.read_text("utf-8").splitlines()[0])
    except (OSError, IndexError) as error:
        raise ConfigurationError("--http-password-file", f"{password_file} cannot be read or is empty") from error


def thresholds_of(given: Sequence[str], of_scenario: Thresholds) -> Thresholds:
    """Those of a scenario, with what was typed instead. Raises ConfigurationError."""
    values: dict[str, float] = {}
    for each in given:
        name, _, value = each.partition("=")
        try:
            values[name] = float(value)
        except ValueError:
            raise ConfigurationError("--threshold", f"{each!r} is not NAME=NUMBER") from None
    read = Thresholds.read(values)
    return replace(of_scenario, **{name.replace("-", "_"): getattr(read, name.replace("-", "_")) for name in values})


def part_of(text: str | None) -> tuple[int, int]:
    """``2/4`` is the second of four parts. Raises ConfigurationError."""
    part, slash, parts = (text or "1/1").partition("/")
    if not (slash and part.isdecimal() and parts.isdecimal()):
        raise ConfigurationError("--part", f"{text!r} is not PART/PARTS, for instance 2/4")
    return int(part), int(parts)


def begin_of(text: str | None) -> float | None:
    """Seconds since 1970 of an ISO 8601 time, which is local unless it says otherwise. Raises ConfigurationError."""
    if text is None:
        return None
    try:
        begin = datetime.fromisoformat(text).timestamp()
    except ValueError:
        raise ConfigurationError("--begin-at", f"{text!r} is no time like 2026-01-31T14:00:00Z") from None
    if begin < time.time():
        raise ConfigurationError("--begin-at", f"{text} is over")
    return begin


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
        of_whom = f"no `orthanc-cluster up` of this user has the door {targets[0]}, so the" if targets else "The"
        raise ConfigurationError(
            "--target" if targets else "--archive",
            f"{of_whom} archive behind it is unknown: give --config FILE, --data DIR, or --archive URL",
        )
    return settings_of(data)


def look_at_files(given: Mapping[str, Any]) -> dict[str, Path | None]:
    """What is to be written, by option. Raises ConfigurationError if there is no folder for it."""
    files = {"--json": given["json_file"], "--report": given["report"], "--junit": given["junit_file"]}
    for name, file in files.items():
        if file is not None and not file.absolute().parent.is_dir():
            raise ConfigurationError(name, f"{file.parent} is no folder")
    return files


def write_files(result: LoadResult, ledger: Path | None, name: str, files: Mapping[str, Path | None]) -> None:
    """JSON, XML and page of a result."""
    document = as_json(result)
    if (file := files["--json"]) is not None:
        file.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", "utf-8")
    if (file := files["--junit"]) is not None:
        file.write_text(junit(document, name), "utf-8")
    if (file := files["--report"]) is not None:
        assert ledger is not None
        with Ledger(ledger) as opened:
            file.write_text(page(document, opened, name), "utf-8")
