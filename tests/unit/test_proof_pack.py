"""A proof pack holds, or says what is wrong with it; the sums of a verdict come out of its compact history again."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner

from benchmarks.figures import Part, write
from benchmarks.ingest.outcome import RESULTS
from benchmarks.proof import compact
from benchmarks.proof.checks import faults
from benchmarks.proof.contents import HISTORY, MEASURED, SUMS, VERDICT
from benchmarks.proof.recheck import differences, sums, violations
from benchmarks.proof_pack import main
from workers.prove.history import History, Kind, Operation, Outcome

DONE, UNKNOWN, REFUSED = Outcome.DONE, Outcome.UNKNOWN, Outcome.REFUSED


def operation(kind: Kind, subject: str, at: float, outcome: Outcome, value: str = "", detail: str = "") -> Operation:
    return Operation("client", kind, subject, value, at, at + 0.25, outcome, detail)


def a_history(file: Path, *more: Operation) -> None:
    """Three instances, one deleted; two revisions; a follower that was shown 1, 2, 3, 7, 8; a fault."""
    with History(file) as history:
        for number in range(3):
            instance = SimpleNamespace(
                patient_id="P", study_instance_uid="1", series_instance_uid="2", sop_instance_uid="3", data_set=b"1234"
            )
            history.instance(f"instance-{number}", instance, "md5")  # type: ignore[arg-type]
        for each in (
            operation(Kind.STORE, "instance-0", 1, DONE),
            operation(Kind.STORE, "instance-1", 1, UNKNOWN),
            operation(Kind.STORE, "instance-1", 12, DONE),
            operation(Kind.READ, "instance-1", 13, DONE, "same"),
            operation(Kind.STORE, "instance-2", 2, DONE),
            operation(Kind.DELETE, "instance-2", 25, DONE, "present"),
            operation(Kind.REVISE, "instance-0", 3.0004, DONE, "a", '"0-0cc175b9c0f1b6a831c399e269772661"'),
            operation(Kind.REVISE, "instance-0", 4, REFUSED, "b", "HTTP 409"),
            operation(Kind.REVISE, "instance-0", 5, DONE, "b", '"1-92eb5ffee6ae2fec3ad71c777531578f"'),
            *more,
        ):
            history.add(each)
        history.follow("follower-0", 0, [1, 2, 3])
        history.follow("follower-0", 3, [7, 8])
        history.fault(0.5, "node killed", "node-1")


def a_verdict(file: Path) -> dict[str, Any]:
    looked_at = {"instances present": 2, "instances absent": 1, "instances either": 0, "rows of files": 2}
    looked_at |= {"changes shown to follower-0": 5, "store done": 3, "store unknown": 1, "read done": 1}
    looked_at |= {"delete done": 1, "revise done": 2, "revise refused": 1, "fault node killed": 1}
    rules = {"acknowledged is there": 0, "changes come once and in order": 0}
    verdict = {
        "passed": True,
        "seed": 7,
        "seconds": 60.0,
        "nodes": 3,
        "writers": 8,
        "faults": ["node killed"],
        "rules": rules,
        "looked_at": looked_at,
    }
    file.write_text(json.dumps(verdict))
    return verdict


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `prove --out` leaves."""
    folder = tmp_path_factory.mktemp("run")
    a_history(folder / "history.sqlite")
    a_verdict(folder / "verdict.json")
    (folder / "verdict.html").write_text("<p>kept</p>")
    return folder


@pytest.fixture
def results(tmp_path: Path) -> Path:
    return benchmarks_left(tmp_path / "results")


def benchmarks_left(folder: Path) -> Path:
    """What benchmarks leave: a figure that is met, and one of speed that is missed and explained."""
    for content in MEASURED:
        part = Part(sizes={"instances": 1})
        part.add("right", "yes", "yes", True)
        part.add("fast", "2/s", "1/s", False, is_speed=True)
        write(folder / f"{content.name}.json", {"part": part}, {"date": "today", "cores": 2, "postgresql": "15.18"})
    explained = [f"{each.name}: {{part: [{{of: [fast], why: slow disk, 1 ms a sync}}]}}" for each in MEASURED]
    (folder / "explanations.yaml").write_text("\n".join(explained))
    (folder / "schema_upgrade_pg15.f2.log").write_text("+0.000 s begins\n")
    (folder / "load_comparison.html").write_text("<p>both</p>")
    return folder


@pytest.fixture(scope="module")
def made_once(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = benchmarks_left(tmp_path_factory.mktemp("made") / "results")
    assert made("--results", folder, "--prove", run) == 0
    return folder


@pytest.fixture
def pack(made_once: Path, tmp_path: Path) -> Path:
    """One that holds, to be spoiled."""
    return shutil.copytree(made_once, tmp_path / "pack")


def made(*options: object) -> int:
    """Exit status of the command."""
    outcome = CliRunner().invoke(main, [str(option) for option in options], catch_exceptions=False)
    return outcome.exit_code


def test_sums_come_out_of_the_compact_history(tmp_path: Path) -> None:
    a_history(tmp_path / "history.sqlite")
    compact.write(compact.compact(tmp_path / "history.sqlite"), tmp_path / "compact")

    history = compact.read(tmp_path / "compact")

    verdict = a_verdict(tmp_path / "verdict.json")
    assert differences(history, verdict) == []
    assert sums(history)["instances present"] == 2
    assert compact.shown(history["followers"]["follower-0"]) == [1, 2, 3, 7, 8]
    assert history["counts"]["store done"] == [2, 1, 0]


@pytest.mark.parametrize(
    ("planted", "rule"),
    [
        (operation(Kind.READ, "instance-0", 30, DONE, "absent"), "acknowledged is there"),
        (operation(Kind.READ, "instance-2", 30, DONE, "same"), "deleted is gone"),
        (operation(Kind.READ, "instance-1", 30, DONE, "other"), "what is read is what was stored"),
        (operation(Kind.STORE, "instance-1", 30, Outcome.UNEXPECTED), "answers are explicable"),
        (operation(Kind.REVISE, "instance-0", 30, DONE, "c", '"1-0"'), "each revision is given once"),
        (operation(Kind.REVISE, "instance-0", 2, DONE, "c", '"2-0"'), "revisions follow time"),
    ],
)
def test_what_breaks_a_promise_is_seen_in_the_compact_history(tmp_path: Path, planted: Operation, rule: str) -> None:
    a_history(tmp_path / "history.sqlite", planted)

    assert rule in violations(compact.compact(tmp_path / "history.sqlite"))


def test_a_pack_is_made_and_holds(run: Path, results: Path, tmp_path: Path) -> None:
    whole = tmp_path / "whole"

    assert made("--results", results, "--prove", run, "--note", "nothing else ran", "--out", whole) == 0

    page = (results / "index.html").read_text("utf-8")
    assert "nothing else ran" in page
    assert "--seed 7" in page
    assert "slow disk" in page
    assert "<script" not in page
    assert not (results / "prove/history.sqlite").exists()
    for folder in (results, whole):
        assert made("--check", folder) == 0
    # The whole history is checked against the compact one
    (whole / "prove/history.sqlite").unlink()
    a_history(whole / "prove/history.sqlite", operation(Kind.STORE, "instance-0", 40, DONE))
    assert any("is not the one" in text for text in faults(whole))


def _changed(folder: Path) -> None:
    file = folder / "latency.json"
    file.write_text(file.read_text().replace("1/s", "3/s"))


def _verdict(folder: Path) -> None:
    file = folder / VERDICT
    file.write_text(file.read_text().replace('"store done": 3', '"store done": 4'))


def _history(folder: Path) -> None:
    document = compact.read(folder / HISTORY)
    document["sequences"] = {name: number + 1 for name, number in document["sequences"].items()}
    compact.write(document, folder / HISTORY)


def _promise(folder: Path) -> None:
    file = folder / VERDICT
    file.write_text(file.read_text().replace('"passed": true', '"passed": false'))


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (_changed, "latency.json was changed"),
        (lambda folder: (folder / "memory.json").unlink(), "memory*.json is missing"),
        (lambda folder: (folder / "new.json").write_text("{}"), "new.json came after"),
        (lambda folder: (folder / "explanations.yaml").write_text(""), "does not say why"),
        (lambda folder: (folder / SUMS).unlink(), "make the pack first"),
        (lambda folder: (folder / HISTORY).write_bytes(b""), "cannot be read"),
        (_verdict, "store done: the verdict says 4, the history 3"),
        (_history, "instances present"),
        (_promise, "promises were broken"),
    ],
)
def test_what_is_wrong_is_told(pack: Path, spoil: Callable[[Path], object], said: str) -> None:
    assert faults(pack) == []

    spoil(pack)

    assert any(said in text for text in faults(pack)), faults(pack)
    assert made("--check", pack) == 1


def test_an_unfinished_run_is_no_pack(results: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert made("--results", results, "--prove", tmp_path / "empty") == 2
    assert made("--results", results) == 1  # nobody has run prove


@pytest.mark.skipif(not (RESULTS / SUMS).exists(), reason="no pack was made yet")
def test_the_committed_pack_holds() -> None:
    assert faults(RESULTS) == [], "after new results: make proof"
