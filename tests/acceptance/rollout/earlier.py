"""An earlier version of this program: another commit's code in a virtual environment of its own.

Its packages are those of this environment, put on its path: there is no network here to get those that the earlier
commit pinned. So what is shown is that the code of both works on one database, one storage area and one configuration.
"""

import subprocess
import sysconfig
import venv
from pathlib import Path

from tests.acceptance.chart.rendering import ROOT
from tests.support.servers import skip_or_fail

COMMIT = "cacfcdda26171d5f276b4435123c27a5fcb40e88"
"""The last one before cluster.store_instances became another function of the same name and arguments (version 3 of our
own PostgreSQL schema): its nodes go on calling what a later one has put in its place."""

_PROGRAM = """\
#!{python}
from workers.cli import main
main()
"""


def earlier_programs(folder: Path) -> Path:
    """Install it below `folder`; the folder of its programs. Skips the test where the history is not there."""
    archive = subprocess.run(
        ["git", "archive", COMMIT, "cluster", "workers"], cwd=ROOT, capture_output=True, check=False
    )
    if archive.returncode != 0:
        skip_or_fail("history", f"commit {COMMIT}")
    home = folder / "earlier"
    venv.create(home, with_pip=False, symlinks=True)
    packages = Path(sysconfig.get_path("purelib", vars={"base": str(home), "platbase": str(home)}))
    subprocess.run(["tar", "-x", "-C", packages], input=archive.stdout, check=True)
    # A .pth file below a folder that came from one is not read, so that of this checkout has no say.
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n", "utf-8")
    program = home / "bin" / "orthanc-cluster"
    program.write_text(_PROGRAM.format(python=home / "bin" / "python"), "utf-8")
    program.chmod(0o755)
    where = subprocess.run(
        [home / "bin" / "python", "-c", "import cluster, workers; print(cluster.__file__, workers.__file__)"],
        capture_output=True,
        text=True,
        check=True,
        cwd=folder,
        env={},
    ).stdout.split()
    assert all(Path(it).is_relative_to(packages) for it in where), where
    return home / "bin"
