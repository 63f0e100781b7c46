"""`orthanc-cluster load` as it is typed: exit status, JSON file, and messages."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cluster.errors import NotDicom
from tests.integration.load.conftest import Node, Run
from tests.integration.load.test_run import Refusing
from workers.cli import main

KEYS = {"sent", "acknowledged", "missing", "duplicated", "wrong_bytes", "instances_per_second", "latency_ms"}


@pytest.fixture
def configuration(tmp_path: Path, database_uri: str, storage_directory: Path) -> Path:
    document: dict[str, Any] = {
        "StorageDirectory": str(storage_directory),
        "PostgreSQL": {"EnableIndex": True, "ConnectionUri": database_uri},
    }
    file = tmp_path / "orthanc.json"
    file.write_text(json.dumps(document), "utf-8")
    return file


def test_a_clean_run_ends_with_0_and_leaves_its_numbers(
    run: Run, start_node: Callable[..., Node], configuration: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one, two = start_node(), start_node()
    out = tmp_path / "result.json"

    options = ("--senders", 3, "--instances", 30, "--same-study", "--config", configuration, "--json", out)
    status = run("--target", f"{one.target},{two.target}", *options)

    assert status == 0
    result = json.loads(out.read_text("utf-8"))
    assert result.keys() >= KEYS
    assert (result["sent"], result["acknowledged"], result["missing"], result["duplicated"]) == (30, 30, 0, 0)
    assert result["latency_ms"].keys() == {"p50", "p95", "p99"}
    assert "lost 0, duplicated 0" in capsys.readouterr().out


def test_a_refused_instance_ends_with_1(
    run: Run, start_node: Callable[..., Node], configuration: Path, tmp_path: Path
) -> None:
    node = start_node(lambda intake: Refusing(intake, lambda request: NotDicom("no") if request == 5 else None))
    out = tmp_path / "result.json"

    assert run("--target", node.target, "--instances", 10, "--config", configuration, "--json", out) == 1
    assert json.loads(out.read_text("utf-8"))["acknowledged"] == 9


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "--target"),
        (("--target", "nowhere"), "not HOST:PORT"),
        (("--target", "127.0.0.1:1"), "no `orthanc-cluster up`"),
        (("--target", "127.0.0.1:1", "--senders", "0"), "--senders: must be at least 1"),
        (("--target", "127.0.0.1:1", "--instances", "many"), "--instances"),
        (("--target", "127.0.0.1:1", "--size", "huge"), "--size: must be one of tiny, small, ct, mixed"),
        (("--target", "127.0.0.1:1", "--json", "/nonexistent/x.json"), "--json"),
        (("--target", "127.0.0.1:1"), "--target: 127.0.0.1:1: cannot connect"),
        (("--target", "http://127.0.0.1:1"), "cannot connect"),
        (("--target", "http://user:secret@127.0.0.1:1"), "say --http-user"),
        (("--target", "ftp://127.0.0.1"), "is not http://HOST:PORT"),
        (("--target", "127.0.0.1:1", "--archive", "127.0.0.1:2"), "--archive"),
        (("--target", "127.0.0.1:1", "--archive", "http://127.0.0.1:1"), "does not answer"),
        (("--target", "127.0.0.1:1", "--threshold", "p99=1"), "thresholds.p99: is unknown"),
        (("--target", "127.0.0.1:1", "--threshold", "p99-milliseconds=much"), "is not NAME=NUMBER"),
        (("--target", "127.0.0.1:1", "--http-user", "alice"), "--http-password-file"),
        (("--target", "127.0.0.1:1", "--resume"), "--resume: needs the --ledger"),
        (("--target", "127.0.0.1:1", "--scenario", "/nonexistent.yaml"), "ours are bursts"),
        (("--target", "127.0.0.1:1", "--files", "/nonexistent"), "--files: holds no DICOM file"),
        (("--target", "127.0.0.1:1", "--slow", "25"), "--slow"),
        (("--target", "127.0.0.1:1", "--part", "1/2"), "--part: needs --seed"),
        (("--target", "127.0.0.1:1", "--duration", "5"), "for a --scenario with phases"),
        (("--target", "127.0.0.1:1", "--archive", "dicom://127.0.0.1:1"), "takes no association"),
        (("check", "/nonexistent.sqlite"), "/nonexistent.sqlite"),
        (("check", __file__, "--archive", "http://127.0.0.1:1"), "does not answer"),
    ],
)
def test_a_run_that_cannot_begin_ends_with_2_and_says_why(
    run: Run,
    configuration: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    message: str,
) -> None:
    # Given nobody's running cluster, and a configuration for all but the case that is about its absence
    monkeypatch.setenv("HOME", str(tmp_path))
    named = () if "up`" in message else ("--config", str(configuration))

    assert run(*arguments, *(named if arguments[:1] != ("check",) else ())) == 2
    assert message in capsys.readouterr().err


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """What a command prints that is no run and ends well."""

    def shown(*arguments: str) -> str:
        monkeypatch.setattr(sys, "argv", ["orthanc-cluster", "load", *arguments])
        main()
        return capsys.readouterr().out

    return shown


def test_help_tells_how_to_begin(shown: Callable[..., str]) -> None:
    text = shown("--help")
    for part in ("Where to:", "What:", "How:", "How it is compared:", "What is left:", "Commands:", "dicom://pacs:104"):
        assert part in text
    # Whatever has no heading is nothing but the help itself
    assert [line.split()[0] for line in text.partition("Others:\n")[2].splitlines() if line.strip()][:1] == ["-h,"]


def test_scenarios_are_listed_and_shown(shown: Callable[..., str], run: Run) -> None:
    assert {"bursts", "day-curve", "hospital", "ramp"} <= {line.split()[0] for line in shown("scenarios").splitlines()}
    assert "phases:" in shown("scenarios", "day-curve")
    assert run("scenarios", "nothing") == 2


def test_a_database_that_says_no_ends_with_3(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str], storage_directory: Path
) -> None:
    configuration = tmp_path / "orthanc.json"
    section = {"EnableIndex": True, "ConnectionUri": "postgresql://nobody@127.0.0.1:1/none"}
    document = {"StorageDirectory": str(storage_directory), "PostgreSQL": section}
    configuration.write_text(json.dumps(document), "utf-8")

    assert run("--target", "127.0.0.1:1", "--config", configuration) == 3
    assert "orthanc-cluster: " in capsys.readouterr().err
