"""Which clusters `up` has running on this machine for this user, so that other commands find their data folder.

One small JSON file a cluster, below the user's state folder; a file whose process is gone is stale and ignored.
"""

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path


def register(data: Path, dicom: Sequence[str]) -> None:
    """Tell that this process serves `data` at these ``host:port`` addresses."""
    file = _file_of(data)
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    file.write_text(json.dumps({"data": str(data.absolute()), "pid": os.getpid(), "dicom": list(dicom)}), "utf-8")


def unregister(data: Path) -> None:
    """The cluster has stopped."""
    _file_of(data).unlink(missing_ok=True)


def find_by_dicom(target: str) -> Path | None:
    """The data folder of the running cluster that listens at ``host:port``; None if there is none."""
    host, _, port = target.rpartition(":")
    names = {f"{name}:{port}" for name in ({host, "127.0.0.1"} if host == "localhost" else {host})}
    return next((data for data, dicom in _running() if names & set(dicom)), None)


def _running() -> Iterator[tuple[Path, list[str]]]:
    for file in sorted(_folder().glob("*.json")):
        try:
            entry = json.loads(file.read_text("utf-8"))
            os.kill(entry["pid"], 0)
            yield Path(entry["data"]), entry["dicom"]
        except (OSError, ValueError, KeyError):
            continue


def _file_of(data: Path) -> Path:
    return _folder() / f"{hashlib.sha256(os.fsencode(data.absolute())).hexdigest()[:16]}.json"


def _folder() -> Path:
    return Path.home() / ".local" / "state" / "orthanc-cluster" / "running"
