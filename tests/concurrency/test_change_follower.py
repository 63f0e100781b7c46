"""A follower of /changes beside many writers sees every change exactly once, in order, in whatever way it follows."""

import json
import threading
import time
from contextlib import suppress
from itertools import pairwise

import httpx
import psycopg

from tests.concurrency.conftest import on_both
from tests.support.nodes import NodeProcess
from workers.load.options import LoadOptions, parse_targets
from workers.load.run import run_load

WRITERS, INSTANCES, POLL_SECONDS = 16, 600, 0.05


def follow(url, seen, ended):
    """Poll as the manual says: `since` is the Last of the answer before."""
    since = 0
    with httpx.Client(base_url=url, timeout=30) as client:
        while True:
            over = ended.is_set()
            answer = client.get("/changes", params={"since": since, "limit": 100}).raise_for_status().json()
            seen += [change["Seq"] for change in answer["Changes"]]
            assert answer["Last"] >= since
            since = answer["Last"]
            if over and answer["Done"]:
                return
            if answer["Done"]:
                time.sleep(POLL_SECONDS)  # the poll interval of the specification, not a wait for anything


def follow_by_waiting(url, seen, ended):
    """Ask once for each page; the node answers when there is one."""
    since = 0
    with httpx.Client(base_url=url, timeout=30) as client:
        while True:
            over = ended.is_set()
            answer = client.get("/changes", params={"since": since, "limit": 100, "wait": 1}).raise_for_status().json()
            seen += [change["Seq"] for change in answer["Changes"]]
            since = answer["Last"]
            if over and not answer["Changes"]:
                return


def follow_events(url, seen, ended):
    """A stream that breaks now and then, as connections do; the next one goes on behind the last event."""
    headers = {"Accept": "text/event-stream", "Last-Event-ID": "0"}
    with httpx.Client(base_url=url, timeout=httpx.Timeout(30, read=2)) as client:
        over = False
        while not over:
            over = ended.is_set()
            with suppress(httpx.ReadTimeout), client.stream("GET", "/changes", headers=headers) as answer:
                of_this_stream = 0
                for line in answer.iter_lines():
                    if line.startswith("data: "):
                        seen.append(json.loads(line[6:])["Seq"])
                        headers["Last-Event-ID"] = str(seen[-1])
                        of_this_stream += 1
                    if of_this_stream == 250:
                        over = False
                        break


@on_both
def test_nothing_is_missed_nothing_comes_twice(start_nodes, connection, mode):
    a, b = start_nodes()
    # Of SQLite's transactions no two overlap: fewer do.
    instances = INSTANCES // 4 if mode == "sqlite" else INSTANCES
    ended = threading.Event()
    followers = []
    for way in (follow, follow_by_waiting, follow_events):
        for node in (a, b):
            seen: list[int] = []
            thread = threading.Thread(target=way, args=(node.url, seen, ended))
            thread.start()
            followers.append((thread, seen))
    options = LoadOptions(
        targets=parse_targets(f"{a.dicom},{b.dicom}"),
        settings=a.settings if mode != "sqlite" else None,
        archive=parse_targets(a.url)[0] if mode == "sqlite" else None,
        senders=WRITERS,
        instances=instances,
        shared_studies=True,
    )
    result = run_load(options)
    ended.set()
    for thread, _ in followers:
        thread.join(60)
        assert not thread.is_alive()
    assert result.passed, result.findings
    everything = [seq for (seq,) in connection.execute("SELECT seq FROM Changes ORDER BY seq")]
    assert len(everything) > instances
    for _, seen in followers:
        assert all(earlier < later for earlier, later in pairwise(seen))
        assert seen == everything


def test_the_follower_would_notice_a_missing_lock(tmp_path, database_uri, storage_directory):
    """The defect that the lock cures, planted by hand: number drawn early, committed late, missed by the reader."""
    with (
        NodeProcess("a", tmp_path, database_uri, storage_directory) as node,
        psycopg.connect(database_uri, autocommit=True) as setup,
        psycopg.connect(database_uri) as slow,
        psycopg.connect(database_uri) as quick,
    ):
        setup.execute("DROP TRIGGER LockChanges ON Changes; DROP TRIGGER InsertedChange ON Changes")
        setup.execute("SELECT * FROM CreateInstance('p', 's', 'r', 'i')")
        insert = "INSERT INTO Changes SELECT nextval('changes_seq_seq'), 2, internalId, 3, '' FROM Resources LIMIT 1"
        slow.execute(insert)
        quick.execute(insert)
        quick.commit()
        seen: list[int] = []
        ended = threading.Event()
        ended.set()
        follow(node.url, seen, ended)
        slow.commit()
        with httpx.Client() as client:
            answer = client.get(f"{node.url}/changes", params={"since": seen[-1]}).json()
    assert seen == [2]
    assert answer["Changes"] == []
