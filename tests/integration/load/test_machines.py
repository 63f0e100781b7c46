"""One run on several machines: each has its part and its ledger, and one command compares all of them."""

import json
import threading
from pathlib import Path

import pytest

from cluster.errors import ConfigurationError
from tests.integration.load.conftest import Run, of
from tests.support.nodes import NodeProcess
from workers.load.pace import Pace, Phase
from workers.load.run import LoadResult, run_load


def part(node: NodeProcess, number: int, ledger: Path, seed: int = 77) -> LoadResult:
    doors = f"{node.dicom},{node.url}"
    return run_load(
        of(
            node,
            doors,
            part=number,
            parts=3,
            seed=seed,
            ledger=ledger,
            check=False,
            senders=5,
            shared_studies=True,
            pace=Pace((Phase(1, 45, 45),)),
        )
    )


@pytest.fixture(scope="module")
def parts(node: NodeProcess, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The ledgers of three parts of 45 instances of five senders, who were at work at the same time."""
    folder = tmp_path_factory.mktemp("parts")
    ledgers = [folder / f"{number}.sqlite" for number in (1, 2, 3)]
    results: dict[int, LoadResult] = {}

    def send(number: int) -> None:
        results[number] = part(node, number, ledgers[number - 1])

    threads = [threading.Thread(target=send, args=(number,)) for number in (1, 2, 3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert [results[number].planned for number in (1, 2, 3)] == [18, 18, 9]
    assert all(result.passed and not result.checked for result in results.values())
    return ledgers


def test_all_parts_are_compared_together(
    run: Run, parts: list[Path], as_loader: tuple[object, ...], tmp_path: Path
) -> None:
    numbers, report, merged = tmp_path / "numbers.json", tmp_path / "page.html", tmp_path / "merged.sqlite"

    files = ("--json", numbers, "--report", report, "--merged", merged)
    assert run("check", *parts, *as_loader, *files, "--threshold", "retries=0") == 0

    document = json.loads(numbers.read_text())
    assert (document["planned"], document["acknowledged"], document["checked"]) == (45, 45, True)
    assert 0.8 < document["seconds"] < 3
    assert "Latency" in report.read_text()
    # And what was merged can be compared again
    assert run("check", merged, *as_loader) == 0


def test_a_part_that_is_not_given_was_not_acknowledged(
    run: Run, parts: list[Path], as_loader: tuple[object, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("check", *parts[:2], *as_loader) == 1
    assert "9 of 45 were never acknowledged" in capsys.readouterr().out


def test_what_does_not_belong_together_is_refused(
    run: Run, parts: list[Path], node: NodeProcess, as_loader: tuple[object, ...], tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    # A part of another run, the same part twice, and something that is no ledger
    part(node, 2, tmp_path / "other.sqlite", seed=78)
    for ledgers, message in (
        ((parts[0], tmp_path / "other.sqlite"), "is of another run: its seed is 78"),
        ((parts[0], parts[1], parts[0]), "is it given twice?"),
        ((Path(__file__),), "no ledger of this version"),
    ):
        assert run("check", *ledgers, *as_loader) == 2
        assert message in capsys.readouterr().err


def test_another_part_cannot_be_resumed_by_mistake(node: NodeProcess, parts: list[Path]) -> None:
    with pytest.raises(ConfigurationError, match="--part"):
        run_load(of(node, part=2, parts=3, seed=77, ledger=parts[0], resume=True, check=False, senders=5,
                    shared_studies=True, instances=45))  # fmt: skip
