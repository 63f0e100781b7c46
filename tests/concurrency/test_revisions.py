"""Writers of one metadata or attachment on two nodes: each revision is given once."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from tests.concurrency.conftest import (
    StartNodes,
    assert_all_exact,
    client_of,
    instance_file,
)

WRITERS, WRITES = 16, 6


@pytest.mark.parametrize(
    ("mode", "kind"),
    [(mode, kind) for kind in ("metadata", "attachments") for mode in ("ReadCommitted", "Serializable")]
    + [("sqlite", "attachments")],
    indirect=["mode"],
)
def test_sixteen_writers_with_if_match(
    start_nodes: StartNodes, connection: psycopg.Connection, storage_directory: Path, kind: str
) -> None:
    nodes = start_nodes(CheckRevisions=True)
    with client_of(nodes[0]) as client:
        path = f"{client.post('/instances', content=instance_file(1, 1)).json()['Path']}/{kind}/1024"
    together = threading.Barrier(WRITERS)

    def write(number: int) -> list[str]:
        """Write again and again until it was oneself so often; the ETags that one got."""
        own: list[str] = []
        with client_of(nodes[number % 2]) as client:
            together.wait()
            attempt = 0
            while len(own) < WRITES:
                attempt += 1
                present = client.get(path if kind == "metadata" else f"{path}/md5")
                headers = {"If-Match": present.headers["etag"]} if present.status_code == 200 else {}
                answer = client.put(path, content=f"{number}.{attempt}", headers=headers)
                assert answer.status_code in (200, 409, 503)
                if answer.status_code == 200:
                    own.append(answer.headers["etag"])
        return own

    with ThreadPoolExecutor(WRITERS) as threads:
        etags = [etag for own in threads.map(write, range(WRITERS)) for etag in own]
    # Then the revisions are 0, 1, 2 … without gap and without a second owner
    revisions = sorted(int(etag.strip('"').split("-")[0]) for etag in etags)
    assert revisions == list(range(WRITERS * WRITES))
    with client_of(nodes[1]) as client:
        last = client.get(path if kind == "metadata" else f"{path}/md5").headers["etag"]
    assert last == next(etag for etag in etags if etag.startswith(f'"{WRITERS * WRITES - 1}-'))
    changes = "SELECT count(*) FROM Changes WHERE changeType IN (15, 16)"
    assert connection.execute(changes).fetchone() == (WRITERS * WRITES,)
    assert_all_exact(connection, storage_directory)
