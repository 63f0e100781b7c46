"""Runs PostgreSQL when we are root, which PostgreSQL refuses to be.

Two ways, in this order:

namespace   a user namespace in which root is called `nobody`. Nothing on the machine changes: no account, no owner of
            a file, and a virtual environment or data folder under a mode-700 home works. Containers may forbid it.
user        really become `nobody`. The data folder is given to that user, and binaries that others cannot read are
            copied to a temporary folder. Folders above the data are left as they are: the server inherits its data
            folder as an open descriptor, names it `/proc/self/fd/N`, and so needs no right to walk there.
"""

import os
import pwd
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cluster.errors import ConfigurationError
from workers.local import children
from workers.local.postgresql_binaries import Binaries


@dataclass(frozen=True, slots=True)
class Identity:
    """Who the server runs as: options of `trampoline.py`, and the owner that its files must have (None: we are)."""

    options: tuple[str, ...] = ()
    owner: tuple[int, int] | None = None


OURSELVES = Identity()


def in_namespace() -> Identity:
    """We stay root and look like `nobody` to ourselves."""
    uid, gid = _nobody()
    return Identity(("--namespace", f"{uid}:{gid}"))


def as_user(uid: int, gid: int) -> Identity:
    """Another user of this machine."""
    return Identity(("--user", f"{uid}:{gid}"), (uid, gid))


def as_nobody() -> Identity:
    """The user that owns nothing."""
    return as_user(*_nobody())


def choose(data: Path) -> Identity:
    """The identity that can run a server on `data`, which need not exist yet.

    As root, data that another user owns stay that user's, as they were made in the second way.
    """
    if os.geteuid() != 0:
        return OURSELVES
    if data.exists() and data.stat().st_uid != 0:
        return as_user(data.stat().st_uid, data.stat().st_gid)
    namespace = in_namespace()
    # Anything can be run to see whether namespaces are allowed.
    allowed = children.run(["true"], identity=namespace.options).returncode == 0
    return namespace if allowed else as_nobody()


def give(path: Path, identity: Identity) -> None:
    """Make the identity the owner of a file, or of a folder with all that is in it."""
    if identity.owner is None:
        return
    for each in [path, *path.rglob("*")]:
        os.chown(each, *identity.owner, follow_symlinks=False)


@contextmanager
def reachable(folder: Path, identity: Identity) -> Iterator[tuple[str, list[int]]]:
    """A name of `folder` that works for the identity, and the descriptors that its process has to inherit for that.

    The working folder would not do: PostgreSQL before 16 leaves it while it looks for its own program, and cannot
    return.
    """
    if identity.owner is None:
        yield str(folder), []
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{descriptor}", [descriptor]
    finally:
        os.close(descriptor)


def executable(binaries: Binaries, identity: Identity) -> Binaries:
    """The same binaries where the identity can execute them; if it had to copy them, in a new temporary folder."""
    home = binaries.folder.parent
    if identity.owner is None or _others_can_read(binaries.program("postgres")):
        return binaries
    copy = Path(tempfile.mkdtemp(prefix="orthanc-cluster-postgresql-"))
    copy.chmod(0o755)
    shutil.copytree(home, copy / home.name, symlinks=True)
    return Binaries(copy / home.name / binaries.folder.name, binaries.major)


def remove_copy(copied: Binaries, original: Binaries) -> None:
    """Undo `executable`."""
    if copied != original:
        shutil.rmtree(copied.folder.parent.parent, ignore_errors=True)


def _others_can_read(program: Path) -> bool:
    return all(folder.stat().st_mode & 0o005 == 0o005 for folder in [program, *program.parents])


def _nobody() -> tuple[int, int]:
    # An id without an account would do for the kernel, but initdb looks the name up.
    try:
        account = pwd.getpwnam("nobody")
    except KeyError:
        raise ConfigurationError(
            "PostgreSQL", "does not run as root, and there is no user 'nobody': run this as an ordinary user"
        ) from None
    return account.pw_uid, account.pw_gid
