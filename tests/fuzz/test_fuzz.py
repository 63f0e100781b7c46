"""Both targets for some seconds with coverage, and on every input that ever broke them (`tests/fuzz/__main__.py`)."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.fuzz import targets
from tests.support.settings import settings_for
from workers.storescp.policy import Policy

SECONDS = 8
REGRESSIONS = Path(__file__).with_name("regressions")
ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", ["pdus", "header"])
def test_some_seconds(name: str, tmp_path: Path) -> None:
    pytest.importorskip("atheris", reason="atheris has wheels for x86-64 Linux only")
    command = [sys.executable, "-m", "tests.fuzz", name, str(SECONDS), str(tmp_path / "corpus")]
    # libFuzzer leaves crash files in the working folder
    finished = subprocess.run(
        command, cwd=tmp_path, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=120, check=False
    )
    assert finished.returncode == 0, finished.stdout[-3000:] + finished.stderr[-3000:]
    assert "DONE" in finished.stderr
    assert not list(tmp_path.glob("crash-*"))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["pdus", "header"])
def test_seeds_and_regressions(name: str) -> None:
    policy = Policy.from_settings(settings_for(), 131072)
    kept = [path.read_bytes() for path in sorted((REGRESSIONS / name).glob("*"))]
    for content in [*targets.seeds(name), *kept, b""]:
        if name == "pdus":
            targets.pdus(policy, content)
        else:
            targets.header(content)
