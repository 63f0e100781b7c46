"""The rollout rehearsal, small: the chart's own pods under load while they are replaced, hung, killed, cut off.

``python -m benchmarks.rollout`` is the same with 16 senders and real time. `pytest -s` shows what was measured.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from tests.acceptance.chart.rendering import ROOT
from tests.acceptance.rollout import healing, rollouts
from tests.acceptance.rollout.earlier import earlier_programs
from tests.acceptance.rollout.haproxy import haproxy_program
from tests.acceptance.rollout.stage import Seen, Stage
from tests.schema.archive import fill
from tests.schema.conftest import at_revision


def check(seen: Seen) -> None:
    print(f"\n{seen}")
    assert not seen.unmet, f"{seen}\n{seen.history}"


def test_rolling_update_and_that_the_benchmark_works(tmp_path: Path) -> None:
    haproxy_program()
    file = tmp_path / "result.json"
    command = [sys.executable, "-m", "benchmarks.rollout", "--smoke", "--parts", "rolling", "--json", file]
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    ended = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=150, check=False)
    said = ended.stdout[-3000:] + ended.stderr[-3000:]
    assert ended.returncode == 0, said
    found = json.loads(file.read_text("utf-8"))
    assert list(found) == ["rolling"]
    # Those of speed too, which the benchmark reports and does not fail for.
    unmet = [figure for figure in found["rolling"]["figures"] if not figure["met"]]
    assert not unmet, f"{unmet}\n{said}"
    assert found["rolling"]["sizes"]["senders"] > 1


def test_upgrade_from_revision_1(stage: Stage) -> None:
    with psycopg.connect(stage.uri, autocommit=True) as connection:
        at_revision(connection, "public", 1)
        fill(connection, 1)
        # There in every archive of an Orthanc with older indexes, and built again by the upgrade.
        connection.execute("DROP INDEX DicomIdentifiersIndexValues2")
    check(rollouts.upgrade(stage))


def test_a_hung_pod(stage: Stage) -> None:
    check(healing.frozen(stage))


def test_the_database_away(stage: Stage) -> None:
    check(healing.database_outage(stage))


@pytest.mark.timeout(300)
def test_redis_away(stage: Stage) -> None:
    check(healing.redis_outage(stage))


def test_more_and_fewer_pods(stage: Stage) -> None:
    check(rollouts.scale(stage))


def test_pods_killed_at_random(stage: Stage) -> None:
    check(healing.killed_at_random(stage))


def test_an_earlier_version_beside_this_one_and_back(stage: Stage) -> None:
    check(rollouts.side_by_side(stage, earlier_programs(stage.folder)))
