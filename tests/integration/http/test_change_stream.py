"""GET /changes that waits, and server-sent events: nothing is missed or comes twice; followers cost next to nothing."""

import asyncio
import json
import threading
import time
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice
from typing import Any

import httpx
import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from tests.integration.http.conftest import Door, OpenDoor, eventually
from tests.support.dicom import make_file
from tests.support.indices import connect, only_on_postgresql
from tests.support.proxy import Proxy
from workers.http import change_stream
from workers.http.change_feed import ChangeFeed

EVENTS = {"Accept": "text/event-stream"}
FOLLOWERS = 100


class Events:
    """The events of one stream as a browser's EventSource sees them."""

    def __init__(self, answer: httpx.Response) -> None:
        self.last_id = ""
        self._lines = answer.iter_lines()

    def __iter__(self) -> Iterator[dict[str, Any]]:
        data = ""
        for line in self._lines:
            name, _, value = line.partition(": ")
            if name == "id":
                self.last_id = value
            elif name == "data":
                data = value
            elif not line and data:
                yield json.loads(data)
                data = ""

    def take(self, count: int) -> list[dict[str, Any]]:
        return list(islice(self, count))


@contextmanager
def stream(door: Door, query: str = "", **headers: str) -> Iterator[Events]:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    with door.client.stream("GET", f"/changes{query}", headers=EVENTS | names) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        yield Events(answer)


def feed_of(door: Door) -> ChangeFeed:
    """What ends when the server drains."""
    feed = door.server._on_drain.__self__  # type: ignore[attr-defined]
    assert isinstance(feed, ChangeFeed)
    return feed


def log(door: Door, query: str = "?limit=10000") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = door.client.get(f"/changes{query}").json()["Changes"]
    return found


def test_waiting_is_not_needed_where_something_is_there(door: Door) -> None:
    door.post(make_file())
    everything = door.client.get("/changes").json()
    assert door.client.get("/changes?since=0&wait=60").json() == everything
    page = door.client.get(f"/changes?since={everything['First']}&wait=60&limit=2").json()
    assert (page["Changes"], page["Done"]) == (everything["Changes"][1:3], False)


def test_an_answer_comes_with_the_change(door: Door) -> None:
    door.post(make_file())
    last = door.client.get("/changes?last").json()["Last"]
    with ThreadPoolExecutor(1) as other:
        waiting = other.submit(door.client.get, f"/changes?since={last}&wait=30")
        eventually(lambda: feed_of(door)._waiting)
        assert not waiting.done()
        stored = door.post(make_file()).json()
        page = waiting.result(10).json()
    assert [change["ID"] for change in page["Changes"]] == [stored["ID"]]
    assert (page["Done"], page["Last"]) == (True, last + 1)


def test_nothing_comes(door: Door) -> None:
    assert door.client.get("/changes?wait=1").json() == {"Changes": [], "Done": True, "Last": 0}
    door.post(make_file())
    last = door.client.get("/changes?last").json()["Last"]
    assert door.client.get(f"/changes?since={last}&wait=1").json() == {"Changes": [], "Done": True, "Last": last}
    # what does not exist yet is nothing to wait behind for ever
    assert door.client.get("/changes?since=99999&wait=1").json() == {"Changes": [], "Done": True, "Last": last}


def test_other_types_do_not_wake(door: Door) -> None:
    door.post(make_file())
    with ThreadPoolExecutor(1) as other:
        waiting = other.submit(door.client.get, "/changes?since=4&wait=30&type=NewPatient")
        eventually(lambda: feed_of(door)._waiting)
        door.post(make_file())
        new = door.post(make_file(PatientID="P2", StudyInstanceUID="2.25.2", SeriesInstanceUID="2.25.2.1")).json()
        page = waiting.result(10).json()
    assert [(change["ChangeType"], change["ID"]) for change in page["Changes"]] == [
        ("NewPatient", new["ParentPatient"])
    ]


@pytest.mark.parametrize("text", ["x", "-1", "1.5", "", "1e3"])
def test_bad_waits(door: Door, text: str) -> None:
    answer = door.client.get("/changes", params={"wait": text})
    assert answer.status_code == 400
    assert "'wait' must be a number of seconds" in answer.json()["Details"]


def test_bad_streams(door: Door) -> None:
    assert door.client.get("/changes?type=Nothing", headers=EVENTS).status_code == 400
    door.reason = "waiting for upgrade"
    assert door.client.get("/changes", headers=EVENTS).status_code == 503
    assert door.client.get("/changes?wait=5").status_code == 503


def test_stream_and_resumption(door: Door) -> None:
    door.post(make_file())
    everything = log(door)
    with stream(door) as events:
        assert events.take(3) == everything[:3]
        assert events.last_id == str(everything[2]["Seq"])
    with stream(door, Last_Event_ID=events.last_id) as resumed:
        assert resumed.take(1) == everything[3:]
        door.post(make_file())
        assert resumed.take(1) == log(door)[-1:]
    with stream(door, "?since=1&type=NewPatient;NewStudy") as some:
        assert some.take(2) == everything[2:]
    with stream(door, Last_Event_ID="no number") as from_the_beginning:
        assert from_the_beginning.take(4) == everything


def test_heartbeats_move_the_place_on(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(change_stream, "HEARTBEAT_SECONDS", 0.3)
    with stream(door, "?type=ModifiedStudy") as events:
        door.post(make_file())
        lines = events._lines
        assert ": nothing new" in lines
        # changes that are not wanted need not be looked through again
        assert "id: 4" in lines


def test_who_leaves_is_forgotten(door: Door) -> None:
    feed = feed_of(door)
    with stream(door):
        eventually(lambda: feed._waiting)
        with pytest.raises(httpx.ReadTimeout):
            door.client.get("/changes?wait=30", timeout=0.5)
    eventually(lambda: feed._followers == 0)
    eventually(lambda: feed._watch is None)


def test_a_number_of_followers_is_enough(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workers.http.change_feed.MAXIMUM_FOLLOWERS", 1)
    with stream(door):
        answer = door.client.get("/changes?wait=1")
        assert answer.status_code == 503
        assert "followers" in answer.json()["Details"]
        assert door.client.get("/changes").status_code == 200


async def _followed(url: str, client: httpx.AsyncClient, until: int) -> list[int]:
    """The numbers that a follower gets, up to `until`."""
    seen: list[int] = []

    async def lines(answer: httpx.Response) -> AsyncIterator[str]:
        async for line in answer.aiter_lines():
            yield line

    async with client.stream("GET", url, headers=EVENTS) as answer:
        async for line in lines(answer):
            if line.startswith("data: "):
                seen.append(json.loads(line[6:])["Seq"])
                if seen[-1] >= until:
                    return seen
    raise AssertionError(f"the stream ended at {seen[-1:]}")


@only_on_postgresql("counts the server's sessions")
def test_a_hundred_followers_beside_writers(open_door: OpenDoor, index_uri: str) -> None:
    door = open_door(postgresql={"IndexConnectionsCount": 3})
    files = [make_file(SeriesInstanceUID=f"2.25.{number % 7 + 1}") for number in range(150)]
    last = 150 + 7 + 1 + 1
    threads_before = threading.active_count()

    async def all_followers() -> list[list[int]]:
        limits = httpx.Limits(max_connections=None)
        async with httpx.AsyncClient(timeout=60, trust_env=False, limits=limits) as client:
            url = f"http://127.0.0.1:{door.server.port}/changes"
            return await asyncio.gather(*(_followed(url, client, last) for _ in range(FOLLOWERS)))

    feed = feed_of(door)
    with ThreadPoolExecutor(5) as others:
        followers = others.submit(asyncio.run, all_followers())
        eventually(lambda: len(feed._waiting) == FOLLOWERS)
        # Two threads of the feed, one of this test; the pool's own are there already.
        assert threading.active_count() - threads_before <= 3
        with connect(index_uri) as connection:
            [(sessions,)] = connection.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        assert sessions <= 3
        started = time.monotonic()
        assert door.client.get("/statistics").status_code == 200
        assert time.monotonic() - started < 5
        list(others.map(lambda file: door.post(file).raise_for_status(), files))
        seen = followers.result(60)
    everything = [change["Seq"] for change in log(door)]
    assert everything[-1] == last
    assert all(numbers == everything for numbers in seen)


@only_on_postgresql("SQLite has one writer, this process")
def test_changes_that_others_write(door: Door, index_uri: str) -> None:
    """As a real Orthanc does: rows in Changes, whose triggers are part of the schema."""
    door.post(make_file())
    with stream(door, "?since=4") as events, psycopg.connect(index_uri) as orthanc:
        orthanc.execute("INSERT INTO Changes SELECT nextval('changes_seq_seq'), 14, 3, 2, '20260131T120000'")
        eventually(lambda: feed_of(door)._waiting)
        orthanc.commit()
        assert [event["ChangeType"] for event in events.take(1)] == ["StableSeries"]


def test_the_end_of_the_process_is_a_clean_end(door: Door) -> None:
    door.post(make_file())
    with ThreadPoolExecutor(1) as other, stream(door) as events:
        waiting = other.submit(door.client.get, "/changes?since=4&wait=60")
        assert len(events.take(4)) == 4
        eventually(lambda: len(feed_of(door)._waiting) == 2)
        started = time.monotonic()
        door.server.drain(30)
        assert time.monotonic() - started < 5
        assert events.take(1) == []  # a cut body would raise
        assert waiting.result().json() == {"Changes": [], "Done": True, "Last": 4}


@only_on_postgresql("a server that is away")
def test_streams_outlive_the_database(open_door: OpenDoor, index_uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(change_stream, "HEARTBEAT_SECONDS", 0.2)
    where = conninfo_to_dict(index_uri)
    with Proxy(str(where["host"]), int(where["port"])) as proxy:
        uri = make_conninfo(index_uri, host="127.0.0.1", port=proxy.port)
        door = open_door(
            postgresql={"ConnectionUri": uri, "MaximumConnectionRetries": 2},
            cluster={"TransactionTimeBudgetSeconds": 1},
        )
        door.post(make_file()).raise_for_status()
        with stream(door) as events:
            assert len(events.take(4)) == 4
            proxy.refuse()
            proxy.cut()
            assert door.client.get("/changes").status_code == 503
            for _ in range(3):
                assert ": nothing new" in events._lines
            proxy.refuse(False)
            eventually(lambda: door.post(make_file()).status_code == 200)
            assert [event["ChangeType"] for event in events.take(1)] == ["NewInstance"]
