"""The README's two commands, as typed, on a fresh clone in a temporary folder."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    if not (ROOT / ".git").exists() or shutil.which("make") is None:
        pytest.skip("needs git history and make")
    folder = tmp_path_factory.mktemp("fresh") / "orthanc-cluster"
    # What is not committed is not in a clone: a dirty work tree is tested as its last commit.
    subprocess.run(["git", "clone", "--quiet", ROOT, folder], check=True)
    return folder


def make(clone, *arguments):
    # Nothing of this test run's own virtual environment may help.
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("VIRTUAL_ENV", "PYTEST"))}
    return subprocess.run(["make", *arguments], cwd=clone, env=environment, capture_output=True, text=True, timeout=600)


@pytest.mark.timeout(600)
def test_make_demo(clone):
    ended = make(clone, "demo", "ARGS=--instances 320 --senders 8")
    assert ended.returncode == 0, ended.stdout[-3000:] + ended.stderr[-3000:]
    assert "lost 0, duplicated 0" in ended.stdout
    assert "killed (SIGKILL)" in ended.stdout


@pytest.mark.timeout(600)
def test_make_test(clone):
    # A small part of the tests, with and without a server: all of them would include this one.
    few = "tests/unit/config/test_environment.py tests/unit/ingest tests/integration/schema"
    ended = make(clone, "test", f"ARGS={few} -q")
    assert ended.returncode == 0, ended.stdout[-3000:] + ended.stderr[-3000:]
    assert " passed" in ended.stdout
    assert subprocess.run(["git", "status", "--porcelain"], cwd=clone, capture_output=True).stdout == b""
