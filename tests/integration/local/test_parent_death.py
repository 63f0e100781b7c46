"""Nothing of `up` is left when its process is killed with SIGKILL, and the next `up` continues."""

import json
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
import redis

from tests.integration.local.processes import gone
from workers.local.children import wait_until
from workers.local.postgresql import LocalPostgreSQL
from workers.local.redis_server import LocalRedis

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux tells children")

# Each start is in a thread that ends at once, as the start of a replacement may be.
PARENT = """
import json, sys, threading
from pathlib import Path
from workers.local.postgresql import LocalPostgreSQL
from workers.local.processes import ManagedProcess
from workers.local.redis_server import LocalRedis

folder = Path(sys.argv[1])
children = [
    LocalPostgreSQL(folder / "postgresql"),
    LocalRedis(folder / "redis"),
    ManagedProcess("sleep", ["sleep", "60"], log_path=folder / "sleep.log"),
]
for child in children:
    thread = threading.Thread(target=child.start)
    thread.start()
    thread.join()
print(json.dumps([child.pid for child in children]), flush=True)
sys.stdin.read()
"""


def test_children_of_a_killed_parent_end_and_their_data_stay(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, tmp_path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as parent:
        # Given a running parent with three children and committed data
        assert parent.stdout is not None
        pids = json.loads(parent.stdout.readline())
        postgresql, redis_server = LocalPostgreSQL(tmp_path / "postgresql"), LocalRedis(tmp_path / "redis")
        with psycopg.connect(postgresql.uri()) as connection:
            connection.execute("CREATE TABLE Remembered AS SELECT 42 AS value")
        with redis.from_url(redis_server.client_url) as client:
            client.set("key", "kept")
        assert not any(gone(pid) for pid in pids)

        # When the parent is killed
        parent.kill()

    # Then servers can be started at once on the same folders, with the same data
    with postgresql, redis_server:
        with psycopg.connect(postgresql.uri()) as connection:
            assert connection.execute("SELECT value FROM Remembered").fetchone() == (42,)
        with redis.from_url(redis_server.client_url) as client:
            assert client.get("key") == b"kept"
    assert wait_until(lambda: all(gone(pid) for pid in pids), 10)
