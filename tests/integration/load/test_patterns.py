"""The patterns of load that scenarios name, each on a real node, each tiny, each proved afterwards."""

import json
import sqlite3
import threading
import time
from collections import defaultdict
from pathlib import Path
from statistics import median
from typing import Any

import pytest
from pydicom.data import get_testdata_file

from cluster.errors import ConfigurationError, NodeBusy
from tests.integration.load.conftest import Node, Run, of
from tests.integration.load.test_run import Refusing, load
from tests.support.dicom import make_file
from tests.support.nodes import NodeProcess
from workers.load.files import catalogue
from workers.load.ledger import Ledger
from workers.load.pace import Pace, Phase
from workers.load.plan import Slow
from workers.load.run import Progress, run_load
from workers.load.scenario import known_scenarios
from workers.load.verify import Place

TINY = {
    "ramp": ("--duration", 0.4, "--rate-factor", 0.1),
    "bursts": ("--duration", 0.4, "--rate-factor", 0.5),
    "day-curve": ("--duration", 0.4, "--rate-factor", 1),
    "many-associations": ("--duration", 0.4, "--rate-factor", 0.2),
    "hospital": ("--instances", 6),
    "hospital-1999": ("--instances", 6),
    "slow-senders": ("--instances", 8),
}
"""Phases stay phases; the others send a few instances."""


def ask(ledger: Path, query: str) -> list[Any]:
    database = sqlite3.connect(ledger)
    try:
        return database.execute(query).fetchall()
    finally:
        database.close()


@pytest.mark.parametrize("name", known_scenarios())
def test_a_scenario_of_ours(
    name: str, run: Run, node: NodeProcess, as_loader: tuple[object, ...], tmp_path: Path
) -> None:
    numbers = tmp_path / "numbers.json"
    tiny = TINY.get(name, ("--instances", 12))

    status = run("--target", node.dicom, "--scenario", name, "--senders", 4, *tiny, *as_loader, "--json", numbers)

    document = json.loads(numbers.read_text())
    assert status == 0, document
    assert document["acknowledged"] == document["planned"] > 5


def test_slow_senders_are_slow_and_hold_up_nobody(node: NodeProcess, tmp_path: Path) -> None:
    # Given half of the senders with 8 KB a second, for instances of 3 KB
    ledger = tmp_path / "ledger.sqlite"
    doors = f"{node.dicom},{node.dicom},{node.url},{node.url}"
    result = run_load(of(node, doors, senders=4, instances=8, slow=Slow(50, 8000), ledger=ledger))

    # Then each of theirs takes its time through either door, and those of the others do not
    assert result.passed
    latencies = defaultdict(list)
    for sender, latency in ask(ledger, "SELECT sender, latency_seconds FROM deliveries"):
        latencies[sender].append(latency)
    assert min(latencies[1] + latencies[3]) > 0.3
    assert median(latencies[0] + latencies[2]) < 0.3


def test_an_archive_that_overwrites_has_the_last_content(node: NodeProcess, tmp_path: Path) -> None:
    ledger = tmp_path / "ledger.sqlite"
    result = run_load(of(node, node.dicom, overwrite_percent=50, ledger=ledger, instances=40))

    assert result.passed, result.findings
    assert 5 < result.overwritten < 35
    # And one that has the first is told from it
    with Ledger(ledger) as opened:
        opened._database.execute("UPDATE deliveries SET second_md5 = data_set_md5 WHERE second_acknowledged")
        with Place(None, of(node).archive, of(node).credentials, "", "").opened() as verifier:
            assert len(verifier.verify(opened).wrong_bytes) == result.overwritten


def test_an_archive_that_does_not_overwrite_has_the_first_content(start_node: Any, tmp_path: Path) -> None:
    node: Node = start_node()
    result = load(node, overwrite_percent=50, instances=20, size="tiny", ledger=tmp_path / "ledger.sqlite")
    assert result.passed, result.findings
    assert result.overwritten > 2
    # And one that had overwritten is told from it
    wrong = node.settings.model_copy(update={"overwrite_instances": "Always"})
    with Ledger(tmp_path / "ledger.sqlite") as ledger, Place(wrong, None, None, "", "").opened() as verifier:
        assert len(verifier.verify(ledger).wrong_bytes) == result.overwritten


def test_deletions_and_searches_go_on_beside(node: NodeProcess, tmp_path: Path) -> None:
    ledger = tmp_path / "ledger.sqlite"
    options = of(
        node, node.dicom, pace=Pace((Phase(1, 100, 100),)), senders=3, shared_studies=True, queries_per_second=50,
        deletes_per_second=50,
        ledger=ledger,
    )  # fmt: skip
    result = run_load(options)

    assert result.passed, (result.findings, result.missed)
    assert result.deletions > 3
    assert result.searches > 3
    # And what was deleted and is there is found: here one of which the ledger says so
    with Ledger(ledger) as opened:
        ((instance, *_), *_) = opened.acknowledged()
        opened._database.execute("INSERT INTO deletions VALUES (?, 0, 0, '')", (instance.public_id,))
        with options.place.opened() as verifier:
            assert verifier.verify(opened).not_deleted == {instance.public_id}
        with Place(node.settings, None, None, "", "").opened() as verifier:
            assert verifier.verify(opened).not_deleted == {instance.public_id}


SAMPLES = (
    "CT_small.dcm",
    "MR_small_implicit.dcm",
    "SC_rgb_rle.dcm",
    "rtplan.dcm",
    "ExplVR_BigEnd.dcm",
    "image_dfl.dcm",
)
"""In five transfer syntaxes; each of a study of its own."""


def test_ones_own_files_under_new_uids(
    run: Run, node: NodeProcess, as_loader: tuple[object, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # Given files of several transfer syntaxes, and something else beside
    folder = tmp_path / "files"
    folder.mkdir()
    for name in SAMPLES:
        (folder / name).write_bytes(Path(str(get_testdata_file(name, download=False))).read_bytes())
    (folder / "README").write_text("no DICOM")
    ledger, numbers = tmp_path / "ledger.sqlite", tmp_path / "numbers.json"

    # When they are sent four times over, through both doors
    options = ("--files", folder, "--instances", 4 * len(SAMPLES), "--senders", 3, "--same-study", "--ledger", ledger)
    status = run("--target", f"{node.dicom},{node.url}", *options, *as_loader, "--json", numbers)

    # Then all are there as they were sent, also the one whose patient has no id, and each copy is its own
    output = capsys.readouterr().out
    assert status == 0, output
    assert "6 files, sent under new UIDs" in output
    assert "1 are not sent" in output
    ((instances, studies, syntaxes),) = ask(
        ledger,
        "SELECT count(DISTINCT sop_instance_uid), count(DISTINCT study_instance_uid),"
        " count(DISTINCT transfer_syntax_uid) FROM deliveries",
    )
    assert (instances, syntaxes) == (24, 5)
    assert studies == 24
    with Ledger(ledger) as opened, Place(node.settings, None, None, "", "").opened() as verifier:
        assert verifier.verify(opened).clean


def test_files_that_no_door_takes_are_told(node: NodeProcess, tmp_path: Path) -> None:
    file = make_file(SOPClassUID="1.2.3.4")
    (tmp_path / "odd.dcm").write_bytes(file)
    with pytest.raises(ConfigurationError, match=r"does not take SOP class 1\.2\.3\.4"):
        run_load(of(node, node.dicom, files=catalogue([tmp_path]), instances=1))
    with pytest.raises(ConfigurationError, match="overwrites, which --files cannot"):
        of(node, files=catalogue([tmp_path]), overwrite_percent=1)


def test_many_associations_are_open_at_once(start_node: Any) -> None:
    # Given a node that answers nobody before instances of 100 associations have come
    together = threading.Barrier(100)

    class Gathering:
        def __init__(self, intake: Any) -> None:
            self._intake = intake

        def receive(self, *arguments: Any, **options: Any) -> Any:
            together.wait(timeout=60)
            return self._intake.receive(*arguments, **options)

    # When 100 senders in two processes have an instance each
    result = load(start_node(Gathering), senders=100, processes=2, instances=100, size="tiny")

    # Then all of them were there at the same time
    assert result.passed, (result.failures, result.findings)
    assert result.retries == 0


def test_errors_are_shown_by_status_while_they_come(start_node: Any) -> None:
    node = start_node(lambda intake: Refusing(intake, lambda number: NodeBusy("no") if number % 4 == 0 else None))
    seen: list[Progress] = []
    result = load(node, progress=seen.append, instances=40, size="tiny")
    assert result.passed
    assert seen[-1].failures == {"status 0xA700": result.retries}


def test_a_run_begins_when_it_is_told(node: NodeProcess) -> None:
    at = time.time() + 0.7
    began: list[float] = []
    result = run_load(of(node, instances=4, begin_at=at), lambda progress: began.append(time.time()))
    assert result.passed
    assert began[0] >= at
    assert result.seconds < 0.7
