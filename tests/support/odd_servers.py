"""PostgreSQL servers that lack something: a standby, one without pg_trgm, one whose disk can be filled."""

import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from workers.local import children, postgresql_binaries, unprivileged
from workers.local.postgresql import ENVIRONMENT, LocalPostgreSQL
from workers.local.postgresql_binaries import NEEDED, Binaries

# -- a standby ---------------------------------------------------------------------------------------------------


class Standby(LocalPostgreSQL):
    """A streaming standby of a running server."""

    def __init__(self, folder: Path, primary: LocalPostgreSQL) -> None:
        """Copy the primary; skips the test if the machine has no pg_basebackup."""
        super().__init__(folder, fast=True)
        program = postgresql_binaries.find().program("pg_basebackup")
        if not program.exists():
            pytest.skip(f"{program.parent} has no pg_basebackup")
        folder.mkdir(mode=0o700)
        shutil.copy(primary.folder / "password", folder)
        # A checkpoint that is not fast takes minutes.
        options = ("--checkpoint=fast", "--write-recovery-conf", "--no-sync", f"--pgdata={folder / 'data'}")
        copied = subprocess.run(
            [program, *options, f"--dbname={primary.uri('')}"],
            env=ENVIRONMENT,
            capture_output=True,
            text=True,
        )
        assert copied.returncode == 0, copied.stderr

    def _accepts_connections(self) -> bool:
        """In the pid file a standby is never "ready"."""
        pid_file = self.folder / "data" / "postmaster.pid"
        lines = pid_file.read_text().splitlines() if pid_file.exists() else []
        return len(lines) >= 8 and lines[7].strip() in ("standby", "ready") and int(lines[0]) == self.pid


# -- without pg_trgm -----------------------------------------------------------------------------------------------


@contextmanager
def binaries_without_trigrams(server: LocalPostgreSQL) -> Iterator[Binaries]:
    """The installation of a running server once more, as if the extension pg_trgm had never been installed there.

    The programs find the rest by where they are themselves, so all of it is copied, with the same paths between.
    """
    with psycopg.connect(server.uri()) as connection:
        places = dict(connection.execute("SELECT name, setting FROM pg_config").fetchall())
    bin_folder, share, library = (Path(places[name]) for name in ("BINDIR", "SHAREDIR", "PKGLIBDIR"))
    common = Path(os.path.commonpath([bin_folder, share, library]))
    # Not in pytest's folder, which only its owner may enter: the server may have to be another user.
    with tempfile.TemporaryDirectory(prefix="orthanc-cluster-test-") as name:
        root = Path(name)
        root.chmod(0o755)
        copy = root / bin_folder.relative_to(common)
        copy.mkdir(parents=True)
        for program in ("postgres", "initdb"):
            shutil.copy(bin_folder / program, copy)
        # Whoever runs psql runs the real one, which may be that of another installation and need its libraries.
        (copy / "psql").symlink_to(bin_folder / "psql")
        for folder in (bin_folder.parent / "lib", share, library):
            if folder.is_dir():
                left_out = shutil.ignore_patterns("pg_trgm*", "bitcode", "*.a")
                shutil.copytree(folder, root / folder.relative_to(common), ignore=left_out, dirs_exist_ok=True)
        yield Binaries(copy, postgresql_binaries.find().major)


# -- a disk that can be filled -------------------------------------------------------------------------------------

_MOUNT = 'mount -t tmpfs -o size="$1",mode=0700 none "$2" && shift 2 && exec "$@"'
_NAMESPACE = ("unshare", "--user", "--map-root-user", "--mount", "sh", "-c", _MOUNT, "sh")


class SmallDiskPostgreSQL(LocalPostgreSQL):
    """A server that sees a small disk of its own in the folder `disk`, for a tablespace.

    The disk is a tmpfs in a mount namespace of the server's: it needs no right but that to make user namespaces, and
    is gone with the server, however that ends.
    """

    def __init__(self, folder: Path, mebibytes: int) -> None:
        """Skips the test where the machine forbids this."""
        folder.mkdir(mode=0o700)
        self.disk = folder / "disk"
        self.disk.mkdir()
        size = f"{mebibytes}m"
        probe = children.run(
            [*_NAMESPACE, size, self.disk, "true"], identity=unprivileged.choose(folder / "data").options
        )
        if probe.returncode != 0:
            pytest.skip(f"no disk of limited size can be had here: {probe.stdout.strip()}")
        super().__init__(folder, fast=True, binaries=_wrapped(folder / "bin", size, self.disk))

    def disk_from_here(self) -> Path:
        """The disk by a name that works outside of the server's namespace."""
        return Path(f"/proc/{self.pid}/root{self.disk}")


def _wrapped(folder: Path, size: str, disk: Path) -> Binaries:
    """The usual programs, but `postgres` mounts the disk before it starts."""
    real = postgresql_binaries.find()
    folder.mkdir()
    for name in NEEDED:
        (folder / name).symlink_to(real.program(name))
    (folder / "postgres").unlink()
    # PostgreSQL refuses to be root, which one has to be to mount: so another namespace, in which root is not root. The
    # changes of identity forget the signal that ends the server with its parent, which the trampoline asks for again.
    mount = shlex.join([*_NAMESPACE, size, str(disk), sys.executable, "-I", "-S", str(children.TRAMPOLINE)])
    identity = shlex.join(["--death-signal", "2", *unprivileged.in_namespace().options, str(real.program("postgres"))])
    script = f'#!/bin/sh\nexec {mount} --parent "$PPID" {identity} "$@"\n'
    (folder / "postgres").write_text(script, "utf-8")
    (folder / "postgres").chmod(0o755)
    return Binaries(folder, real.major)
