"""`orthanc-cluster prove`: sound clusters pass, planted defects are caught."""

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks.proof.compact import compact
from benchmarks.proof.recheck import differences, violations
from tests.acceptance.prove.saboteurs import Saboteurs, late_change
from workers.prove.checker import Verdict
from workers.prove.options import ProveOptions
from workers.prove.run import HISTORY, run_prove
from workers.prove.stage import Stage


def _quiet(_: object) -> None:
    pass


def _found(verdict: Verdict, rule: str) -> set[str]:
    return {violation.subject for violation in verdict.examples if violation.rule == rule}


def test_a_sound_cluster_passes_with_all_faults(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    command = [sys.executable, "-m", "workers", "prove", "--seconds", "10", "--pause", "0.5", "--out", str(folder)]

    done = subprocess.run(command, capture_output=True, text=True, timeout=170, check=False)

    assert done.returncode == 0, done.stdout + done.stderr
    document = json.loads((folder / "verdict.json").read_text())
    assert document["passed"]
    assert document["looked_at"]["store done"] > 100
    assert sum(number for name, number in document["looked_at"].items() if name.startswith("fault ")) >= 4
    page = (folder / "verdict.html").read_text()
    assert f"--seed {document['seed']}" in page
    assert "Nothing was lost" in page
    # The form of the history that is committed says what the verdict says
    history = compact(folder / HISTORY)
    assert differences(history, document) == []
    assert sum(violations(history).values()) == 0


def test_planted_defects_are_caught(tmp_path: Path) -> None:
    saboteurs: list[Saboteurs] = []
    late: list[int] = []

    @contextlib.contextmanager
    def beside(stage: Stage) -> Iterator[None]:
        with Saboteurs(stage) as planted, late_change(stage, late):
            saboteurs.append(planted)
            yield

    options = ProveOptions(folder=tmp_path, seed=1, seconds=4, nodes=2, writers=4, importers=0, faults=())
    verdict = run_prove(options, _quiet, beside)

    # Each defect by its own rule and by its name
    (planted,) = saboteurs
    assert planted.lost_file in _found(verdict, "rows are files")
    assert planted.doubled_series in _found(verdict, "nothing is there twice")
    assert any("have no child" in violation.text for violation in verdict.examples)
    missed = [v.text for v in verdict.examples if v.rule == "no change is missed"]
    assert f"change {late[0]} was never shown" in missed
    assert _found(verdict, "acknowledged is there")
    # and nothing that was not planted
    assert not verdict.broken["each revision is given once"]
    assert not verdict.broken["answers are explicable"]


def test_a_node_that_answers_before_it_commits_is_caught(tmp_path: Path) -> None:
    options = ProveOptions(
        folder=tmp_path,
        seed=1,
        seconds=6,
        nodes=2,
        writers=4,
        importers=0,
        faults=("node killed",),
        pause_seconds=0.5,
        program=("-m", "tests.acceptance.prove.defective_node"),
    )

    verdict = run_prove(options, _quiet)

    assert verdict.broken["acknowledged is there"]
