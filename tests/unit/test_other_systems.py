"""For macOS and Windows, as far as it can be seen here: no module of POSIX alone is needed to import it."""

import subprocess
import sys

import pytest

_RUN = """
import runpy, sys
for name in ("fcntl", "resource", "pwd", "grp", "termios"):
    sys.modules[name] = None  # importing it raises ImportError
module, *sys.argv[1:] = sys.argv[1:]
sys.argv[0] = "orthanc-cluster"
runpy.run_module(module, run_name="__main__")
"""


@pytest.mark.parametrize(
    "arguments",
    [["cluster"], ["workers", "--help"], ["workers", "load", "--help"], ["workers", "schema", "--help"]],
    ids=" ".join,
)
def test_it_is_imported_without_them(arguments):
    # A package without __main__ cannot be run, but is imported.
    program = "import cluster" if arguments == ["cluster"] else ""
    source = _RUN.replace('runpy.run_module(module, run_name="__main__")', program) if program else _RUN
    ended = subprocess.run([sys.executable, "-c", source, *arguments], capture_output=True, text=True, timeout=60)
    assert ended.returncode == 0, ended.stderr
