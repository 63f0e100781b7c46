"""The table, the JSON and the verdict say the same, and only a clean run passes."""

import io
from dataclasses import replace

import pytest
from rich.console import Console

from workers.load.check import Findings
from workers.load.live import Progress
from workers.load.report import as_json, print_result, progress_bar, verdict
from workers.load.result import LoadResult

CLEAN = LoadResult(
    seed=7,
    planned=100,
    sent=100,
    acknowledged=100,
    acknowledged_before=0,
    attempts=103,
    acknowledged_bytes=3_000_000,
    seconds=2.0,
    latency_milliseconds={"p50": 1.0, "p95": 2.0, "p99": 3.0},
    per_target={"a:1": 60, "b:2": 40},
    failures={"status 0xA700": 3},
    findings=Findings(),
)


def test_a_clean_run_passes() -> None:
    assert CLEAN.passed
    assert verdict(CLEAN) == "lost 0, duplicated 0"
    document = as_json(CLEAN)
    assert {key: document[key] for key in ("sent", "acknowledged", "missing", "duplicated", "wrong_bytes")} == {
        "sent": 100,
        "acknowledged": 100,
        "missing": 0,
        "duplicated": 0,
        "wrong_bytes": 0,
    }
    assert document["instances_per_second"] == 50.0
    assert document["latency_ms"] == {"p50": 1.0, "p95": 2.0, "p99": 3.0}
    assert document["retries"] == 3


@pytest.mark.parametrize(
    ("result", "words"),
    [
        (replace(CLEAN, acknowledged=99), "1 of 100 were never acknowledged"),
        (replace(CLEAN, sent=90, acknowledged=90), "10 of 100 were never acknowledged"),
        (replace(CLEAN, findings=Findings(missing={"a", "b"})), "lost 2, duplicated 0"),
        (replace(CLEAN, findings=Findings(duplicated={"a"})), "lost 0, duplicated 1"),
        (replace(CLEAN, findings=Findings(wrong_bytes={"a"})), "wrong bytes 1"),
        (replace(CLEAN, missed=("too slow",)), "1 thresholds missed"),
        (replace(CLEAN, findings=Findings(not_deleted={"a"})), "not deleted 1"),
        (replace(CLEAN, findings=Findings(inconsistencies=["statistics say"])), "statistics wrong"),
    ],
)
def test_any_defect_fails_the_run_and_is_named(result: LoadResult, words: str) -> None:
    assert not result.passed
    assert as_json(result)["passed"] is False
    assert words in verdict(result)


def test_nothing_acknowledged_is_no_division_by_zero() -> None:
    result = replace(CLEAN, acknowledged=0, acknowledged_bytes=0, seconds=0.0, latency_milliseconds={"p50": None})
    out = Console(file=io.StringIO(), width=120)

    print_result(result, out)

    assert as_json(result)["instances_per_second"] == 0.0
    assert "never acknowledged" in out.file.getvalue()  # type: ignore[attr-defined]


def test_table_names_numbers_targets_and_reasons() -> None:
    out = Console(file=io.StringIO(), width=120)
    findings = Findings(missing={"4711"}, examples={"4711": "no file"}, orphans=5)

    print_result(replace(CLEAN, findings=findings), out)

    text = out.file.getvalue()  # type: ignore[attr-defined]
    for expected in (
        "100 of 100",
        "50.0",
        "a:1",
        "status 0xA700",
        "4711: no file",
        "files without a row",
        "p99 latency",
    ):
        assert expected in text


def test_progress_bar_counts_what_is_acknowledged() -> None:
    out = Console(file=io.StringIO(), width=200, force_terminal=True)

    with progress_bar(out) as show:
        show(Progress(100, 50, 42, 3, 10.0, {"p50": 1.5, "p99": 20.0}, {"status 0xA700": 2, "HTTP 503": 1}))

    assert "42/100" in out.file.getvalue()  # type: ignore[attr-defined]
    assert "3 sent again" in out.file.getvalue()  # type: ignore[attr-defined]
    for part in ("10/s", "p50 1.5 ms", "p99 20.0 ms", "status 0xA700: 2", "HTTP 503: 1"):
        assert part in out.file.getvalue()  # type: ignore[attr-defined]
