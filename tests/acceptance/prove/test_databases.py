"""The primary and the standby that faults are done to."""

import os
import signal
from pathlib import Path

import pytest

from workers.prove.databases import Databases, standby_is_possible
from workers.prove.members import processes_of


def test_a_standby_that_ends_after_its_startup_process_is_started_again(tmp_path: Path) -> None:
    if reason := standby_is_possible():
        pytest.skip(reason)
    databases = Databases(tmp_path, with_standby=True)
    try:
        databases.start()
        assert databases.standby is not None
        before = databases.standby.pid
        assert before is not None
        (startup,) = [pid for pid, command in processes_of(before) if "startup" in command]

        os.kill(startup, signal.SIGKILL)
        databases.start()  # its postmaster is still about to end

        assert databases.standby.pid != before
        assert databases.primary.query("SELECT sync_state FROM pg_stat_replication;") == "sync"
    finally:
        databases.stop()
