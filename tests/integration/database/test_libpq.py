"""Both ways of getting libpq: psycopg's own, and the system's."""

import ctypes.util
import os
import subprocess
import sys

import pytest

SCRIPT = """
import sys, psycopg
from cluster.database import Database
from tests.support.settings import settings_for
database = Database(settings_for(sys.argv[1]).postgresql)
database.open()
assert database.call("call", "SELECT %(x)s::int[]", {"x": [1, 2]}) == [([1, 2],)]
assert database.run("run", lambda cursor: cursor.execute("SELECT 'é'").fetchone()) == ("é",)
database.close()
print(psycopg.pq.__impl__)
"""


@pytest.mark.parametrize("implementation", ["binary", "python"])
def test_psycopg_works_on_either_libpq(empty_database, implementation):
    if implementation == "python" and ctypes.util.find_library("pq") is None:
        pytest.skip("the system has no libpq (Debian: libpq5)")
    environment = dict(os.environ, PSYCOPG_IMPL=implementation)
    command = [sys.executable, "-c", SCRIPT, empty_database]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.strip() == implementation
