"""Both targets with coverage for a moment, and on every input that ever broke them; CI fuzzes them for longer."""

from pathlib import Path

import pytest

from tests.fuzz import beside, targets
from tests.support.settings import settings_for
from workers.storescp.policy import Policy

REGRESSIONS = Path(__file__).with_name("regressions")


@pytest.fixture
def _atheris() -> None:
    pytest.importorskip("atheris", reason="atheris has wheels for x86-64 Linux only")


@pytest.mark.usefixtures("_atheris")
def test_a_moment_of_both_and_what_is_said_of_a_defect(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert beside.main("1", str(tmp_path), "true", targets=[*beside.TARGETS, "defect"]) == 1
    said = capfd.readouterr().out
    for name in beside.TARGETS:
        assert f"fuzz {name}: " in said
        assert "nothing found" in said.split(f"fuzz {name}: ")[1].splitlines()[0], said
    assert "fuzz defect: BROKEN" in said
    assert "a defect, to see whether it is found" in said
    assert "ZGVmZWN0" in said  # "defect", in base64


@pytest.mark.usefixtures("_atheris")
def test_a_command_that_fails_is_not_waited_for(tmp_path: Path) -> None:
    assert beside.main("600", str(tmp_path), "sh", "-c", "exit 3") == 3


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
