"""SIGTERM to a node under load: objects in hand are answered, senders go elsewhere, nothing is lost."""

import threading

from tests.support.nodes import NodeProcess
from workers.load.options import LoadOptions, parse_targets
from workers.load.run import run_load


def test_rolling_restart_under_load(tmp_path, database_uri, storage_directory):
    # Given two nodes
    with (
        NodeProcess("a", tmp_path, database_uri, storage_directory) as a,
        NodeProcess("b", tmp_path, database_uri, storage_directory) as b,
    ):
        results = []
        options = LoadOptions(
            targets=parse_targets(f"{a.dicom},{b.dicom}"),
            settings=a.settings,
            senders=8,
            instances=1200,
            shared_studies=True,
        )
        started = threading.Event()
        load = threading.Thread(
            target=lambda: results.append(run_load(options, lambda now: now.acknowledged > 50 and started.set()))
        )
        load.start()
        assert started.wait(60)
        # When each is told to stop while senders push, and comes back
        for node in (a, b):
            node.process.terminate(grace_seconds=20)
            assert node.process.returncode == 0, node.log.read_text("utf-8")[-2000:]
            node.start()
        load.join(120)
    # Then nobody lost an instance, and no answer was a failure to store
    [result] = results
    assert result.passed, result.findings
    assert not [reason for reason in result.failures if "0xA7" in reason], result.failures
